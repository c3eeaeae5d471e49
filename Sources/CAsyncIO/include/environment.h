// Settings in environment variables.
#ifndef CASYNCIO_ENVIRONMENT_H
#define CASYNCIO_ENVIRONMENT_H

#include <stdbool.h>

// Whether the variable is `1` or `true`. Like getenv(3), not safe while another thread changes the environment.
bool aio_environment_flag(const char *_Nonnull name);
// The variable; null if it is not set. The memory belongs to the environment, so copy it at once.
const char *_Nullable aio_environment_value(const char *_Nonnull name);
// Removes the variable. Not safe while another thread uses the environment.
void aio_environment_remove(const char *_Nonnull name);
// The variable as a number; zero if it is not set or is not a number.
int aio_environment_number(const char *_Nonnull name);

#endif
