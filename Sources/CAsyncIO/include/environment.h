// Switches that the environment sets.
#ifndef CASYNCIO_ENVIRONMENT_H
#define CASYNCIO_ENVIRONMENT_H

#include <stdbool.h>

// Whether the variable is `1` or `true`. As every getenv, not while another thread changes the environment.
bool aio_environment_flag(const char *_Nonnull name);
// The variable's number; zero if it is not set, or none.
int aio_environment_number(const char *_Nonnull name);

#endif
