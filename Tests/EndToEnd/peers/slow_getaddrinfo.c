// A resolver that takes its time: put in front by LD_PRELOAD, it answers for names that end in ".slow" after two seconds,
// and always with 127.0.0.1.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netdb.h>
#include <string.h>
#include <time.h>

typedef int resolve(const char *, const char *, const struct addrinfo *, struct addrinfo **);

int getaddrinfo(const char *host, const char *port, const struct addrinfo *hints, struct addrinfo **list) {
    resolve *next = (resolve *)dlsym(RTLD_NEXT, "getaddrinfo");
    const char *end = host ? strrchr(host, '.') : NULL;
    if (end == NULL || strcmp(end, ".slow") != 0) return next(host, port, hints, list);
    struct timespec delay = {.tv_sec = 2};
    nanosleep(&delay, NULL);
    return next("127.0.0.1", port, hints, list);
}
