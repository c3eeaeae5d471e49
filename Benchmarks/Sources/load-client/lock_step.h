// Rounds that a server behind wait_gate.c takes one by one: all messages of a round are there before it wakes up.
#pragma once

#include <stdbool.h>

/// Arms the gate whose FIFOs are in `folder`. The connections are open.
void lock_step_arm(const char *folder);

/// Waits until the server sleeps. Does nothing without a gate, as the other two.
void lock_step_wait(void);

/// Lets the server go on with the round that was sent; `counted`: and collect its costs.
void lock_step_go(bool counted);

/// Opens the gate for good.
void lock_step_end(void);
