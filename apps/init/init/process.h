// The table of processes, and the bytes between them and the gateway.
#ifndef SALLYPORT_PROCESS_H
#define SALLYPORT_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "protocol.h"
#include "ring.h"
#include "spawn.h"
#include "watch.h"

struct stream {
  struct watch watch;
  struct ring ring;
  bool ended;     // nothing follows what the ring holds
  bool open;      // RESUME was said on this connection
  bool end_told;  // OUTPUT_END was sent since the last RESUME
  uint64_t sent;  // below: sent on this connection
};

struct input {
  struct watch watch;
  struct ring ring;     // [written to the process, received)
  bool ending;          // INPUT_END was said
  uint64_t final;       // its offset
  bool done;            // nothing more is written: ended, or closed by the process
  bool refused;         // closed by the process, or the process ended
  uint8_t last_byte;    // the last byte written
  int64_t second_eof_ms;  // when a terminal gets its second EOF character; 0: not due
  bool tell;            // INPUT_ACCEPTED is due
};

struct process {
  uint32_t handle;
  pid_t pid;
  uint8_t id_length;
  char id[MAX_ID_BYTES];
  bool pty;
  struct stream streams[2];  // stdout, stderr
  struct input input;
  bool exited;
  enum exit_kind exit_kind;
  uint8_t exit_value;
  bool tell_exit;  // EXIT is due
};

struct process_table {
  struct process *entries[MAX_PROCESSES];
  unsigned count;
};
extern struct process_table processes;

struct process *process_by_handle(uint32_t handle);
struct process *process_by_id(const char *id, uint8_t length);
// Starts a command under an id that is new and well formed. NULL: the stage and errno say why.
struct process *process_start(const char *id, uint8_t id_length, const struct command *command,
                              enum start_stage *stage, int *error);
// Frees a record whose process has exited, whatever its streams still hold.
void process_forget(struct process *process);
// Takes note that a child was reaped. Pids without a record are orphans of the sandbox: nothing to note.
void process_reaped(pid_t pid, int status);
// A new connection: nothing was told or sent on it yet.
void process_new_connection(void);
// Something happened on a descriptor of a process.
void process_event(uint32_t handle, enum watch_kind kind, uint32_t events);
// Tries again what failed for want of memory or descriptors.
void process_retry(void);
// Does what is due by time. The result is when to come again, in milliseconds; -1: nothing waits for time.
int process_tick(void);

// The gateway keeps everything below the offset, which is not beyond the end of the stream.
void process_acknowledge(struct process *process, int stream, uint64_t offset);
// False: the bytes are out of order or beyond the window.
bool input_receive(struct process *process, uint64_t offset, const uint8_t *bytes, size_t length);
bool input_end(struct process *process, uint64_t final);
void process_signal(const struct process *process, int number);
void process_resize(const struct process *process, uint16_t columns, uint16_t rows);

#endif
