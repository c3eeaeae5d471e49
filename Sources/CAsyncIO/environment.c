#include "environment.h"

#include <stdlib.h>
#include <string.h>

bool aio_environment_flag(const char *name) {
    const char *value = getenv(name);
    return value && (strcmp(value, "1") == 0 || strcmp(value, "true") == 0);
}

const char *aio_environment_value(const char *name) { return getenv(name); }

void aio_environment_remove(const char *name) { unsetenv(name); }

int aio_environment_number(const char *name) {
    const char *value = getenv(name);
    return value ? atoi(value) : 0;
}
