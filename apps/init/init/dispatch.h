// What each frame of the gateway means, and what init says of its processes.
#ifndef SALLYPORT_DISPATCH_H
#define SALLYPORT_DISPATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "frame.h"

// The most payload that a type may have; 0: no such type.
size_t dispatch_max_payload(uint8_t type);
// Acts on a frame, with the answer into the outbox (which has room for one). The byte behind the payload is writable.
// False: the frame is out of shape or out of order, and the connection ends.
bool dispatch(uint8_t type, uint8_t *payload, size_t length, struct outbox *answers);
// WELCOME and a PROCESS for each record.
void tell_welcome(struct outbox *answers);
// EXIT and INPUT_ACCEPTED, where due and as far as there is room.
void tell_news(struct outbox *answers);
// OUTPUT and OUTPUT_END, one stream after the other, as far as there is room.
void tell_output(struct outbox *flow);

#endif
