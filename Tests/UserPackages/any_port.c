// Put in front by LD_PRELOAD: whoever binds port 8888, which somebody on this machine may have, gets one that is free.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <string.h>
#include <sys/socket.h>

typedef int binding(int, const struct sockaddr *, socklen_t);

int bind(int descriptor, const struct sockaddr *address, socklen_t length) {
    binding *next = (binding *)dlsym(RTLD_NEXT, "bind");
    struct sockaddr_in changed;
    if (address->sa_family != AF_INET || length < sizeof changed) return next(descriptor, address, length);
    memcpy(&changed, address, sizeof changed);
    if (changed.sin_port == htons(8888)) changed.sin_port = 0;
    return next(descriptor, (const struct sockaddr *)&changed, sizeof changed);
}
