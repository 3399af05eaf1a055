// What init says of its own accord: who is there, what happened, what was written.
#include "dispatch.h"
#include "input.h"
#include "process.h"
#include "protocol.h"

static void tell_process(struct outbox *answers, const struct process *process) {
  put_header(answers, FRAME_PROCESS, 4u + 1 + process->id_length + 1 + 5 * 8);
  put_u32(answers, process->handle);
  put_u8(answers, process->id_length);
  put_bytes(answers, process->id, process->id_length);
  unsigned flags = 0;
  if (process->pty) flags |= PROCESS_PTY;
  if (process->exited) flags |= PROCESS_EXITED;
  if (input_is_open(&process->input)) flags |= PROCESS_STDIN_OPEN;
  put_u8(answers, (uint8_t)flags);
  for (int s = 0; s < 2; s++) {
    put_u64(answers, process->streams[s].ring.start);
    put_u64(answers, process->streams[s].ring.end);
  }
  put_u64(answers, process->input.ring.start);
}

void tell_welcome(struct outbox *answers) {
  put_header(answers, FRAME_WELCOME, 1 + 4 + 2 + 2);
  put_u8(answers, PROTOCOL_VERSION);
  put_u32(answers, RING_BYTES);
  put_u16(answers, MAX_PROCESSES);
  put_u16(answers, (uint16_t)processes.count);
  for (unsigned i = 0; i < processes.count; i++) tell_process(answers, processes.entries[i]);
}

static void tell_input(struct outbox *answers, const struct process *process) {
  put_header(answers, FRAME_INPUT_ACCEPTED, 4 + 8 + 1);
  put_u32(answers, process->handle);
  put_u64(answers, process->input.ring.start);
  put_u8(answers, process->input.refused);
}

static void tell_exit(struct outbox *answers, const struct process *process) {
  put_header(answers, FRAME_EXIT, 4 + 1 + 1);
  put_u32(answers, process->handle);
  put_u8(answers, (uint8_t)process->exit_kind);
  put_u8(answers, process->exit_value);
}

void tell_news(struct outbox *answers) {
  for (unsigned i = 0; i < processes.count; i++) {
    struct process *process = processes.entries[i];
    if (!process->input.tell && !process->tell_exit) continue;
    if (!outbox_has_room(answers, 2 * HEADER_BYTES + 13 + 6)) return;
    if (process->input.tell) tell_input(answers, process);
    if (process->tell_exit) tell_exit(answers, process);
    process->input.tell = process->tell_exit = false;
  }
}

// One frame of one stream. False: it has nothing to say.
static bool tell_stream(struct outbox *flow, uint32_t handle, struct stream *stream, uint8_t fd) {
  if (!stream->open) return false;
  uint64_t left = stream->ring.end - stream->sent;
  if (left == 0 && (!stream->ended || stream->end_told)) return false;
  size_t length = left < MAX_OUTPUT_BYTES ? (size_t)left : MAX_OUTPUT_BYTES;
  put_header(flow, length > 0 ? FRAME_OUTPUT : FRAME_OUTPUT_END, 4 + 1 + 8 + length);
  put_u32(flow, handle);
  put_u8(flow, fd);
  put_u64(flow, stream->sent);
  if (length > 0) ring_copy(&stream->ring, stream->sent, put_space(flow, length), length);
  stream->sent += length;
  stream->end_told = length == 0;
  return true;
}

void tell_output(struct outbox *flow) {
  // Where the last turn left off: a flood of one stream waits for all others after each of its frames.
  static unsigned turn;
  unsigned streams = processes.count * 2;
  unsigned silent = 0;
  while (silent < streams && outbox_has_room(flow, HEADER_BYTES + 13 + MAX_OUTPUT_BYTES)) {
    turn = turn + 1 < streams ? turn + 1 : 0;
    struct process *process = processes.entries[turn / 2];
    bool told = tell_stream(flow, process->handle, &process->streams[turn % 2], (uint8_t)(turn % 2 + 1));
    silent = told ? 0 : silent + 1;
  }
}
