// The bytes of a message, which differ for every connection and message and need not be stored.
#pragma once

#include <stddef.h>
#include <stdint.h>

/// Must be called once, before `content_of`.
void content_prepare(size_t message_bytes);

/// The bytes of one message, valid as long as the program runs.
const char *content_of(uint64_t connection, uint64_t message);
