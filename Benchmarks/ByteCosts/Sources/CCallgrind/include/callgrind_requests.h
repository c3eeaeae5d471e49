// Requests to valgrind's callgrind, which have no effect in a program that runs without it.
#pragma once

// Starts or stops counting instructions. The counts are zero when the program begins.
void callgrind_toggle(void);

// Writes the counts to a separate file with `name` in its name, and sets them to zero.
void callgrind_dump(const char *_Nonnull name);
