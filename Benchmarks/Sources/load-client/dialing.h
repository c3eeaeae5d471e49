// Opening the sockets of clients.
#pragma once

#include <stdint.h>

#include "endpoint.h"

enum { PATIENCE_SECONDS = 60 };

/// Returns a connected, non-blocking socket, or ends the program.
int dial(const struct endpoint *server);

/// As `dial`, from another address of the loopback network for each number if it is TCP, because closed connections
/// keep their ports for a while.
int dial_from(const struct endpoint *server, uint64_t number);

/// Raises the limit of descriptors or ends the program.
void allow_descriptors(uint64_t wanted);

uint64_t now(void);
