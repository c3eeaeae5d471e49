// What the echo servers of this package have in common: the listener, the descriptor of termination.
#pragma once

#include "endpoint.h"

/// Opens a non-blocking socket, bound to the endpoint and listening if it has connections, and stores the address that
/// the system has chosen, or ends the program.
int open_listener(struct endpoint *endpoint);

/// Removes the file of a unix socket.
void close_listener(const struct endpoint *endpoint);

/// Opens a descriptor that is readable after SIGTERM or SIGINT. Without a handler there is no race with the wait.
int open_termination(void);

/// Prints the line that clients wait for: "listening on ENDPOINT (NAME)".
void print_listening(const struct endpoint *endpoint, const char *name);
