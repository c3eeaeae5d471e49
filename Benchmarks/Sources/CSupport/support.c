#include "support.h"

#include <errno.h>
#include <math.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static void print_line(const char *format, va_list arguments, const char *reason) {
    fprintf(stderr, "%s: ", program_invocation_short_name);
    vfprintf(stderr, format, arguments);
    if (reason != NULL) fprintf(stderr, ": %s", reason);
    fputc('\n', stderr);
}

void fail(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    print_line(format, arguments, NULL);
    va_end(arguments);
    exit(2);
}

void fail_errno(const char *format, ...) {
    const char *reason = strerror(errno);
    va_list arguments;
    va_start(arguments, format);
    print_line(format, arguments, reason);
    va_end(arguments);
    exit(2);
}

void complain(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    print_line(format, arguments, NULL);
    va_end(arguments);
}

uint64_t parse_number(const char *option, const char *text, uint64_t lowest, uint64_t highest) {
    char *end = NULL;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    // strtoull accepts signs and spaces, and turns "-1" into the largest number.
    bool is_number = text[0] >= '0' && text[0] <= '9' && *end == '\0' && errno == 0;
    if (!is_number || value < lowest || value > highest) {
        fail("%s takes a number from %llu to %llu, not '%s'", option, (unsigned long long)lowest,
             (unsigned long long)highest, text);
    }
    return value;
}

uint64_t parse_seconds(const char *option, const char *text, uint64_t highest_seconds) {
    char *end = NULL;
    double value = strtod(text, &end);
    if (end == text || *end != '\0' || !isfinite(value) || value <= 0 || value > (double)highest_seconds) {
        fail("%s takes seconds above 0 and up to %llu, not '%s'", option, (unsigned long long)highest_seconds, text);
    }
    return (uint64_t)(value * 1e9);
}

bool set_no_delay(int descriptor) {
    int on = 1;
    return setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0;
}
