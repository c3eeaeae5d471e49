// Connections that send as fast as the server reads and discard the echoes, beside those that are measured.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "endpoint.h"

/// Opens the connections and adds them to `epoll`. They send nothing before `flood_begin`.
void flood_connect(uint64_t count, const struct endpoint *server, int epoll);

/// Whether `owner`, from an event, is a flooding connection.
bool flood_owns(const void *owner);

/// Continues after an event, with one receive and one send.
void flood_handle(void *owner);

void flood_begin(void);

/// Stops sending and waits until all sent bytes have come back.
void flood_end(void);

/// The bytes that came back since the last `flood_begin`.
uint64_t flood_bytes(void);
