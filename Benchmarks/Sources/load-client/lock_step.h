// Rounds that a server behind wait_gate.c handles one by one: all messages of a round have arrived before it wakes up.
#pragma once

#include <stdbool.h>

/// Arms the gate whose FIFOs are in `folder`. The connections must be open.
void lock_step_arm(const char *folder);

/// Waits until the server waits. Has no effect without a gate, like the other two functions.
void lock_step_wait(void);

/// Lets the server handle the round that was sent and, if `counted`, collect its costs.
void lock_step_go(bool counted);

/// Opens the gate permanently.
void lock_step_end(void);
