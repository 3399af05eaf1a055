// The one connection of the gateway.
#ifndef SALLYPORT_SESSION_H
#define SALLYPORT_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "frame.h"

// False: no memory.
bool session_setup(void);
// A stranger has proved to be the gateway: it takes the place of the one before.
void session_begin(int fd);
void session_event(void);
// Sends what is due and can be sent. Called at the end of every turn of the loop.
void session_flush(void);

#endif
