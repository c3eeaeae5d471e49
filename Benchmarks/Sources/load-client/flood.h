// Connections that send as fast as the server takes it and discard what comes back, beside those that are measured.
#pragma once

#include <stdbool.h>
#include <stdint.h>

/// Opens the connections and adds them to `epoll`. Nothing flows before `flood_begin`.
void flood_connect(uint64_t count, int epoll);

/// Whether `owner`, from an event, is a flooding connection.
bool flood_owns(const void *owner);

/// Goes on after an event, by one receive and one send.
void flood_handle(void *owner);

void flood_begin(void);

/// Stops sending and waits until all that was sent has come back.
void flood_end(void);

/// Bytes that came back since the last `flood_begin`.
uint64_t flood_bytes(void);
