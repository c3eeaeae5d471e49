#define _GNU_SOURCE
#include "include/threads.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

struct start {
    void (*body)(void *);
    void *argument;
    char name[16];
};

static void *enter(void *parameter) {
    struct start start = *(struct start *)parameter;
    free(parameter);
#if defined(__linux__)
    pthread_setname_np(pthread_self(), start.name);
#else
    pthread_setname_np(start.name);
#endif
    start.body(start.argument);
    return NULL;
}

int aio_thread_start(void (*body)(void *), void *argument, const char *name) {
    struct start *start = malloc(sizeof *start);
    if (start == NULL) return -ENOMEM;
    start->body = body;
    start->argument = argument;
    snprintf(start->name, sizeof start->name, "%s", name);

    sigset_t all, former;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &former);
    pthread_t thread;
    int error = pthread_create(&thread, NULL, enter, start);
    pthread_sigmask(SIG_SETMASK, &former, NULL);
    if (error != 0) {
        free(start);
        return -error;
    }
    pthread_detach(thread);
    return 0;
}
