// A slow resolver, for LD_PRELOAD: it resolves names that end in ".slow" to 127.0.0.1, but not while the file exists
// that SLOW_GETADDRINFO_GATE names.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

typedef int resolve(const char *, const char *, const struct addrinfo *, struct addrinfo **);

int getaddrinfo(const char *host, const char *port, const struct addrinfo *hints, struct addrinfo **list) {
    resolve *next = (resolve *)dlsym(RTLD_NEXT, "getaddrinfo");
    const char *end = host ? strrchr(host, '.') : NULL;
    if (end == NULL || strcmp(end, ".slow") != 0) return next(host, port, hints, list);
    const char *gate = getenv("SLOW_GETADDRINFO_GATE");
    struct timespec moment = {.tv_nsec = 10 * 1000 * 1000};
    while (gate != NULL && access(gate, F_OK) == 0) nanosleep(&moment, NULL);
    return next("127.0.0.1", port, hints, list);
}
