// Makes a process out of a command: pipes or a terminal, a child, exec.
#ifndef SALLYPORT_SPAWN_H
#define SALLYPORT_SPAWN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "protocol.h"

struct command {
  char **argv;  // ends with NULL, at least one entry
  char **envp;  // ends with NULL
  const char *cwd;
  bool pty;
  bool stdin_open;
  uint16_t columns;
  uint16_t rows;
};

// Our ends, non-blocking; -1 where there is none. With a terminal `out` and `in` are two descriptors of its master.
struct spawned {
  pid_t pid;
  int in;
  int out;
  int err;
};

// Ignores signals and raises the descriptor limit for init itself; children get the defaults and the limits back.
void spawn_setup(void);
// Starts the command and waits until its exec has happened. STAGE_NONE, or where it failed and with which errno;
// then nothing is left of it.
enum start_stage spawn(const struct command *command, struct spawned *spawned, int *error);

#endif
