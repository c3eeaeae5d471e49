// Echoes connections: level-triggered epoll, one receive and one send per message.
#pragma once

#include <stdbool.h>

/// Returns when the descriptor of termination is readable.
void serve_streams(int epoll, int listener, int termination, bool is_tcp);
