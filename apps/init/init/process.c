// Records of processes: how they begin, what is known of them, how they end. Their input is in input.c.
#include "process.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>

#include "input.h"

struct process_table processes;
static uint32_t last_handle;

struct process *process_by_handle(uint32_t handle) {
  for (unsigned i = 0; i < processes.count; i++) {
    if (processes.entries[i]->handle == handle) return processes.entries[i];
  }
  return NULL;
}

struct process *process_by_id(const char *id, uint8_t length) {
  for (unsigned i = 0; i < processes.count; i++) {
    struct process *process = processes.entries[i];
    if (process->id_length == length && memcmp(process->id, id, length) == 0) return process;
  }
  return NULL;
}

static uint32_t next_handle(void) {
  do {
    last_handle += 1;
  } while (last_handle == 0 || process_by_handle(last_handle) != NULL);
  return last_handle;
}

static void stream_begin(struct stream *stream, int fd, enum watch_kind kind, uint32_t handle) {
  ring_init(&stream->ring, RING_BYTES);
  watch_begin(&stream->watch, fd, kind, handle);
  stream->ended = fd < 0;
  watch_set(&stream->watch, EPOLLIN);
}

struct process *process_start(const char *id, uint8_t id_length, const struct command *command,
                              enum start_stage *stage, int *error) {
  *stage = STAGE_LIMIT;
  *error = EAGAIN;
  if (processes.count == MAX_PROCESSES) return NULL;
  struct process *process = calloc(1, sizeof *process);
  *error = ENOMEM;
  if (process == NULL) return NULL;
  struct spawned spawned;
  *stage = spawn(command, &spawned, error);
  if (*stage != STAGE_NONE) {
    free(process);
    return NULL;
  }
  process->handle = next_handle();
  process->pid = spawned.pid;
  process->id_length = id_length;
  memcpy(process->id, id, id_length);
  process->pty = command->pty;
  stream_begin(&process->streams[0], spawned.out, WATCH_STDOUT, process->handle);
  stream_begin(&process->streams[1], spawned.err, WATCH_STDERR, process->handle);
  input_begin(&process->input, spawned.in, process->handle);
  processes.entries[processes.count++] = process;
  return process;
}

void process_forget(struct process *process) {
  for (unsigned i = 0; i < processes.count; i++) {
    if (processes.entries[i] != process) continue;
    processes.entries[i] = processes.entries[--processes.count];
    break;
  }
  for (int i = 0; i < 2; i++) {
    watch_close(&process->streams[i].watch);
    ring_free(&process->streams[i].ring);
  }
  watch_close(&process->input.watch);
  ring_free(&process->input.ring);
  free(process);
}

void process_new_connection(void) {
  for (unsigned i = 0; i < processes.count; i++) {
    struct process *process = processes.entries[i];
    for (int s = 0; s < 2; s++) {
      struct stream *stream = &process->streams[s];
      stream->open = false;
      stream->end_told = false;
      stream->sent = stream->ring.start;
    }
    process->tell_exit = process->exited;
    process->input.tell = false;
  }
}

static void stream_end(struct stream *stream) {
  stream->ended = true;
  watch_close(&stream->watch);
  ring_shrink(&stream->ring);
}

// Whether reading brought bytes.
static bool stream_readable(struct stream *stream, bool hung_up) {
  if (ring_make_room(&stream->ring) == 0) {
    // Full, or no memory: the writer blocks until the gateway has acknowledged something.
    if (!ring_is_full(&stream->ring)) watch_starved = true;
    watch_set(&stream->watch, WATCH_OFF);
    return false;
  }
  ssize_t got = ring_fill_from(&stream->ring, stream->watch.fd);
  if (got > 0 && ring_is_full(&stream->ring)) watch_set(&stream->watch, WATCH_OFF);
  // A terminal whose other side is closed says EIO.
  bool again = got < 0 && (errno == EINTR || (errno == EAGAIN && !hung_up));
  if (got <= 0 && !again) stream_end(stream);
  return got > 0;
}

// The end of a session hangs its terminal up: what is buffered is the last of it, though a process that outlives the
// session may hold the terminal, and there is no other sign of the end.
static void stream_finish_hung_up(struct process *process) {
  struct stream *stream = &process->streams[0];
  if (!process->pty || !process->exited) return;
  while (!stream->ended && stream_readable(stream, true)) continue;
}

void process_reaped(pid_t pid, int status) {
  for (unsigned i = 0; i < processes.count; i++) {
    struct process *process = processes.entries[i];
    if (process->pid != pid || process->exited) continue;
    process->exited = true;
    process->exit_kind = WIFSIGNALED(status) ? EXIT_SIGNALLED : EXIT_NORMAL;
    process->exit_value = (uint8_t)(WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    process->tell_exit = true;
    input_refuse(&process->input);
    stream_finish_hung_up(process);
    return;
  }
}

void process_event(uint32_t handle, enum watch_kind kind, uint32_t events) {
  struct process *process = process_by_handle(handle);
  if (process == NULL) return;
  if (kind == WATCH_INPUT) {
    input_event(process, events);
    return;
  }
  struct stream *stream = &process->streams[kind == WATCH_STDOUT ? 0 : 1];
  if (!stream->ended) (void)stream_readable(stream, process->pty && process->exited);
}

void process_retry(void) {
  for (unsigned i = 0; i < processes.count; i++) {
    struct process *process = processes.entries[i];
    for (int s = 0; s < 2; s++) {
      struct stream *stream = &process->streams[s];
      if (!stream->ended && !ring_is_full(&stream->ring)) watch_set(&stream->watch, EPOLLIN);
    }
    stream_finish_hung_up(process);
    input_watch(&process->input);
  }
}

void process_acknowledge(struct process *process, int index, uint64_t offset) {
  struct stream *stream = &process->streams[index];
  if (offset <= stream->ring.start) return;
  ring_drop(&stream->ring, offset);
  if (stream->sent < offset) stream->sent = offset;
  if (!stream->ended) {
    watch_set(&stream->watch, EPOLLIN);
    stream_finish_hung_up(process);
  } else if (ring_held(&stream->ring) == 0) {
    ring_free(&stream->ring);
  }
}

int process_tick(void) {
  int next_ms = -1;
  int64_t now_ms = watch_now_ms();
  for (unsigned i = 0; i < processes.count; i++) {
    int wait_ms = input_tick(processes.entries[i], now_ms);
    if (wait_ms >= 0 && (next_ms < 0 || wait_ms < next_ms)) next_ms = wait_ms;
  }
  return next_ms;
}

void process_signal(const struct process *process, int number) {
  // Once reaped, the pid may be another's.
  if (!process->exited) (void)kill(-process->pid, number);
}

void process_resize(const struct process *process, uint16_t columns, uint16_t rows) {
  const struct watch *terminal = &process->streams[0].watch;
  if (!process->pty || terminal->fd < 0) return;
  struct winsize size = {.ws_col = columns, .ws_row = rows};
  if (ioctl(terminal->fd, TIOCSWINSZ, &size) != 0 || process->exited) return;
  // Linux tells the foreground group by itself, gVisor does not; to hear of it twice is harmless.
  pid_t foreground = 0;
  if (ioctl(terminal->fd, TIOCGPGRP, &foreground) != 0 || foreground <= 1) foreground = process->pid;
  (void)kill(-foreground, SIGWINCH);
}
