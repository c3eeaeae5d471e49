// What the C programs of this package share: ending with a sentence, and reading their arguments.
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

/// Ends the program with status 2 after one line on stderr: "program: sentence".
_Noreturn void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/// As `fail`, with the meaning of `errno` appended.
_Noreturn void fail_errno(const char *format, ...) __attribute__((format(printf, 1, 2)));

/// One line on stderr; the program goes on.
void complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

/// A decimal number within the bounds; anything else ends the program.
uint64_t parse_number(const char *option, const char *text, uint64_t lowest, uint64_t highest);

/// A decimal number of seconds, fractions allowed, in nanoseconds.
uint64_t parse_seconds(const char *option, const char *text, uint64_t highest_seconds);

/// "1.2.3.4:567". No names: a benchmark must not wait for a resolver.
struct sockaddr_in parse_address(const char *option, const char *text);

/// Sends small messages at once instead of waiting for an acknowledgement. False with `errno` set on failure.
bool set_no_delay(int descriptor);
