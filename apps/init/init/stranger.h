// Connections that have not proved to be the gateway yet.
#ifndef SALLYPORT_STRANGER_H
#define SALLYPORT_STRANGER_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol.h"

// Listens on every address of both families (or of IPv4 alone, where there is no IPv6). Returns the port, 0 on failure.
uint16_t stranger_listen(uint16_t port, const uint8_t secret[SECRET_BYTES]);
void stranger_accept(void);
void stranger_event(uint32_t number);
// Closes those whose time is over. The result is when to come again, in milliseconds; -1: nobody is waited for.
int stranger_expire(void);
// Tries again what failed for want of memory or descriptors.
void stranger_retry(void);

#endif
