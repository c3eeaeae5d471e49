// Echoes datagrams: level-triggered epoll, one recvmmsg(2) and one sendmmsg(2) for up to 64 datagrams.
#pragma once

/// Returns when the descriptor of termination is readable.
void serve_datagrams(int epoll, int socket, int termination);
