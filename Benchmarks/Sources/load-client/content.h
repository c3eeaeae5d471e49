// The bytes of a message: different for every connection and message, and known without being stored.
#pragma once

#include <stddef.h>
#include <stdint.h>

/// Must be called once, before `content_of`.
void content_prepare(size_t message_bytes);

/// The bytes of one message, valid as long as the program runs.
const char *content_of(uint64_t connection, uint64_t message);
