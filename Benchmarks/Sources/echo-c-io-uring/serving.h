// The connections of the server.
#pragma once

#include <stdbool.h>

#include "buffers.h"
#include "ring.h"

/// Echoes until `termination` is readable.
void serve(struct ring *ring, struct buffers *buffers, int listener, int termination, bool is_tcp);
