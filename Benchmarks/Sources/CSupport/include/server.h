// What the echo servers of this package have in common: the listener, the descriptor of termination.
#pragma once

#include <netinet/in.h>

/// Opens a listening socket, and stores the address that the system has chosen, or ends the program.
int open_listener(struct sockaddr_in *address);

/// Opens a descriptor that is readable after SIGTERM or SIGINT. Without a handler there is no race with the wait.
int open_termination(void);

/// Prints the line that clients wait for: "listening on ADDRESS:PORT (NAME)".
void print_listening(const struct sockaddr_in *address, const char *name);
