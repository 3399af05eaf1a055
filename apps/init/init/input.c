// Standard input: a window of bytes by offset, and the end of it.
#include "input.h"

#include <errno.h>
#include <termios.h>
#include <unistd.h>

void input_begin(struct input *input, int fd, uint32_t handle) {
  ring_init(&input->ring, MAX_INPUT_BYTES);
  watch_begin(&input->watch, fd, WATCH_INPUT, handle);
  input->done = input->refused = fd < 0;
  input_watch(input);
}

bool input_is_open(const struct input *input) { return !input->done && !input->ending; }

void input_watch(struct input *input) {
  bool wants = ring_held(&input->ring) > 0 || (input->ending && input->second_eof_ms == 0);
  if (!input->done) watch_set(&input->watch, wants ? EPOLLOUT : 0);
}

static void input_close(struct input *input) {
  input->done = true;
  watch_close(&input->watch);
  ring_free(&input->ring);
}

void input_refuse(struct input *input) {
  if (input->done) return;
  // What was received but not written is lost: start, which is what the gateway is told, stays where it is.
  input->ring.end = input->ring.start;
  input->refused = true;
  input->tell = true;
  input_close(input);
}

// The terminal's EOF character, and whether one is enough: in canonical mode the first only completes a line that has
// begun, and it takes a second one to read as the end.
static bool needs_second_eof(const struct input *input, uint8_t *character) {
  struct termios settings;
  *character = 4;
  if (tcgetattr(input->watch.fd, &settings) != 0) return false;
  if (settings.c_cc[VEOF] != _POSIX_VDISABLE) *character = settings.c_cc[VEOF];
  return (settings.c_lflag & ICANON) != 0 && input->ring.start > 0 && input->last_byte != '\n';
}

// All bytes are written: closes a pipe, says EOF to a terminal.
static void finish(struct process *process) {
  struct input *input = &process->input;
  if (process->pty) {
    uint8_t character;
    bool again = needs_second_eof(input, &character) && input->second_eof_ms == 0;
    // No room yet: the descriptor stays watched.
    if (write(input->watch.fd, &character, 1) < 0 && errno == EAGAIN) return;
    if (again) {
      input->second_eof_ms = watch_now_ms() + EOF_PAUSE_MS;
      return;
    }
  }
  input_close(input);
}

int input_tick(struct process *process, int64_t now_ms) {
  struct input *input = &process->input;
  if (input->done || input->second_eof_ms == 0) return -1;
  if (input->second_eof_ms <= now_ms) finish(process);
  if (input->done) return -1;
  return input->second_eof_ms > now_ms ? (int)(input->second_eof_ms - now_ms) : EOF_PAUSE_MS;
}

static void input_writable(struct process *process) {
  struct input *input = &process->input;
  while (ring_held(&input->ring) > 0) {
    uint64_t before = input->ring.start;
    uint8_t last;
    ring_copy(&input->ring, input->ring.end - 1, &last, 1);
    ssize_t put = ring_drain_to(&input->ring, input->watch.fd);
    if (put < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (put < 0) {
      input_refuse(input);
      return;
    }
    input->tell = input->tell || input->ring.start > before;
    if (ring_held(&input->ring) == 0) input->last_byte = last;
  }
  if (input->ending) {
    finish(process);
  } else {
    ring_free(&input->ring);
  }
}

void input_event(struct process *process, uint32_t events) {
  struct input *input = &process->input;
  if (input->done) return;
  if ((events & EPOLLOUT) != 0 && input->second_eof_ms == 0) input_writable(process);
  if (!input->done && (events & (EPOLLERR | EPOLLHUP)) != 0) input_refuse(input);
  input_watch(input);
}

// Writes what it can, and answers unless bytes are left over: these are answered for when the process takes them, so that
// no answer says what an earlier one said.
static void advance(struct process *process) {
  struct input *input = &process->input;
  input_writable(process);
  if (ring_held(&input->ring) == 0) input->tell = true;
  input_watch(input);
}

bool input_receive(struct process *process, uint64_t offset, const uint8_t *bytes, size_t length) {
  struct input *input = &process->input;
  if (input->refused) {
    input->tell = true;
    return true;
  }
  uint64_t received = input->ring.end;
  if (offset > received || length > UINT64_MAX - offset) return false;
  uint64_t end = offset + length;
  if (end > received) {
    if (input->ending || end - input->ring.start > MAX_INPUT_BYTES) return false;
    size_t known = (size_t)(received - offset);
    // Without memory the bytes are not accepted, and the connection ends: the gateway sends them again on the next one.
    if (!ring_append(&input->ring, bytes + known, length - known)) return false;
  }
  if (input->done || input->ending) {
    input->tell = input->tell || ring_held(&input->ring) == 0;
  } else {
    advance(process);
  }
  return true;
}

bool input_end(struct process *process, uint64_t final) {
  struct input *input = &process->input;
  if (!input->refused && final != (input->ending ? input->final : input->ring.end)) return false;
  if (input->refused || input->ending) {
    input->tell = input->tell || ring_held(&input->ring) == 0;
    return true;
  }
  input->ending = true;
  input->final = final;
  advance(process);
  return true;
}
