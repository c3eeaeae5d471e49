// Functions of all C programs of this package: errors, and parsing of arguments.
#pragma once

#include <stdbool.h>
#include <stdint.h>

/// Ends the program with status 2 after one line on stderr: "program: message".
_Noreturn void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/// Does what `fail` does, with the meaning of `errno` appended.
_Noreturn void fail_errno(const char *format, ...) __attribute__((format(printf, 1, 2)));

/// Writes one line to stderr; the program continues.
void complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

/// Parses a decimal number within the bounds; any other text ends the program.
uint64_t parse_number(const char *option, const char *text, uint64_t lowest, uint64_t highest);

/// Parses a decimal number of seconds, with fractions, and returns nanoseconds.
uint64_t parse_seconds(const char *option, const char *text, uint64_t highest_seconds);

/// Makes the socket send small messages at once. Returns false, and sets `errno`, on failure.
bool set_no_delay(int descriptor);
