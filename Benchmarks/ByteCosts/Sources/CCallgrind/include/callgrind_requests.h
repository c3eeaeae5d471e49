// Requests to valgrind's callgrind. They do nothing in a program that runs without it.
#pragma once

// Begins to count instructions, or ends it. The counts are zero when the program begins.
void callgrind_toggle(void);

// Writes what was counted into a file of its own, with `name` in it, and sets the counts to zero.
void callgrind_dump(const char *_Nonnull name);
