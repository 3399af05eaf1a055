// The meaning of frames. Every frame is checked as a whole before anything is done.
#include "dispatch.h"

#include <stdlib.h>
#include <string.h>

#include "input.h"
#include "process.h"
#include "protocol.h"

size_t dispatch_max_payload(uint8_t type) {
  if (type == FRAME_START) return MAX_START_BYTES;
  return type > FRAME_START && type <= FRAME_PING ? MAX_PAYLOAD_BYTES : 0;
}

static void put_id(struct outbox *answers, const char *id, uint8_t length) {
  put_u8(answers, length);
  put_bytes(answers, id, length);
}

static void tell_started(struct outbox *answers, const struct process *process) {
  put_header(answers, FRAME_STARTED, 1u + process->id_length + 8);
  put_id(answers, process->id, process->id_length);
  put_u32(answers, process->handle);
  put_u32(answers, (uint32_t)process->pid);
}

static void tell_start_failed(struct outbox *answers, const char *id, uint8_t length, enum start_stage stage, int error) {
  put_header(answers, FRAME_START_FAILED, 1u + length + 5);
  put_id(answers, id, length);
  put_u8(answers, (uint8_t)stage);
  put_u32(answers, (uint32_t)error);
}

static bool is_id(const char *id, uint8_t length) {
  if (length == 0 || length > MAX_ID_BYTES) return false;
  for (uint8_t i = 0; i < length; i++) {
    char c = id[i];
    bool fits = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
    if (!fits) return false;
  }
  return true;
}

// A u16 count and so many strings, as an array that ends with NULL. `lengths` gets the length of each.
static char **read_strings(struct reader *reader, size_t **lengths) {
  size_t count = read_u16(reader);
  // Each string has four bytes at least: a count beyond what is there needs no memory.
  if (reader->broken || count > (size_t)(reader->end - reader->at) / 4) {
    reader->broken = true;
    return NULL;
  }
  char **strings = calloc(count + 1, sizeof *strings);
  *lengths = calloc(count + 1, sizeof **lengths);
  if (strings == NULL || *lengths == NULL) reader->broken = true;
  for (size_t i = 0; i < count && !reader->broken; i++) {
    strings[i] = (char *)read_string(reader, &(*lengths)[i]);
  }
  return strings;
}

static void end_strings(char **strings, const size_t *lengths) {
  for (size_t i = 0; strings[i] != NULL; i++) strings[i][lengths[i]] = '\0';
}

static bool are_assignments(char **strings) {
  for (; *strings != NULL; strings++) {
    const char *sign = strchr(*strings, '=');
    if (sign == NULL || sign == *strings) return false;
  }
  return true;
}

static void start(const char *id, uint8_t length, const struct command *command, struct outbox *answers) {
  const struct process *process = process_by_id(id, length);
  enum start_stage stage = STAGE_NONE;
  int error = 0;
  if (process == NULL) process = process_start(id, length, command, &stage, &error);
  if (process != NULL) {
    tell_started(answers, process);
  } else {
    tell_start_failed(answers, id, length, stage, error);
  }
}

static bool on_start(struct reader *reader, struct outbox *answers) {
  uint8_t id_length = read_u8(reader);
  const char *id = (const char *)read_bytes(reader, id_length);
  uint8_t flags = read_u8(reader);
  struct command command = {.pty = (flags & START_PTY) != 0, .stdin_open = (flags & START_STDIN) != 0};
  command.columns = read_u16(reader);
  command.rows = read_u16(reader);
  size_t cwd_length, *argv_lengths = NULL, *envp_lengths = NULL;
  char *cwd = (char *)read_string(reader, &cwd_length);
  command.argv = read_strings(reader, &argv_lengths);
  command.envp = read_strings(reader, &envp_lengths);
  bool sound = read_all(reader) && is_id(id, id_length) && (flags & ~(START_PTY | START_STDIN)) == 0 &&
               command.argv[0] != NULL;
  if (sound) {
    // Each end overwrites the length field of what comes next, which is read by now.
    cwd[cwd_length] = '\0';
    end_strings(command.argv, argv_lengths);
    end_strings(command.envp, envp_lengths);
    command.cwd = cwd_length == 0 ? "/" : cwd;
    sound = are_assignments(command.envp);
    if (sound) start(id, id_length, &command, answers);
  }
  free(command.argv);
  free(command.envp);
  free(argv_lengths);
  free(envp_lengths);
  return sound;
}

static bool on_resume_or_ack(uint8_t type, struct reader *reader) {
  struct process *process = process_by_handle(read_u32(reader));
  uint8_t fd = read_u8(reader);
  uint64_t offset = read_u64(reader);
  if (!read_all(reader) || (fd != 1 && fd != 2)) return false;
  if (process == NULL) return true;
  struct stream *stream = &process->streams[fd - 1];
  if (offset > stream->ring.end) return false;
  process_acknowledge(process, fd - 1, offset);
  if (type == FRAME_ACK) return true;
  stream->open = true;
  stream->end_told = false;
  // Bytes below the start are gone: the flow begins where there are some, and says so by its offset.
  stream->sent = offset > stream->ring.start ? offset : stream->ring.start;
  return true;
}

static bool on_input(struct reader *reader) {
  struct process *process = process_by_handle(read_u32(reader));
  uint64_t offset = read_u64(reader);
  size_t length = (size_t)(reader->end - reader->at);
  const uint8_t *bytes = read_bytes(reader, length);
  if (!read_all(reader)) return false;
  return process == NULL || input_receive(process, offset, bytes, length);
}

static bool on_input_end(struct reader *reader) {
  struct process *process = process_by_handle(read_u32(reader));
  uint64_t final = read_u64(reader);
  if (!read_all(reader)) return false;
  return process == NULL || input_end(process, final);
}

static bool on_signal(struct reader *reader) {
  const struct process *process = process_by_handle(read_u32(reader));
  uint8_t number = read_u8(reader);
  if (!read_all(reader) || number < 1 || number > 64) return false;
  if (process != NULL) process_signal(process, number);
  return true;
}

static bool on_resize(struct reader *reader) {
  const struct process *process = process_by_handle(read_u32(reader));
  uint16_t columns = read_u16(reader);
  uint16_t rows = read_u16(reader);
  if (!read_all(reader)) return false;
  if (process != NULL) process_resize(process, columns, rows);
  return true;
}

static bool on_forget(struct reader *reader) {
  struct process *process = process_by_handle(read_u32(reader));
  if (!read_all(reader)) return false;
  if (process != NULL && process->exited) process_forget(process);
  return true;
}

static bool on_ping(struct reader *reader, struct outbox *answers) {
  uint64_t nonce = read_u64(reader);
  if (!read_all(reader)) return false;
  put_header(answers, FRAME_PONG, 8);
  put_u64(answers, nonce);
  return true;
}

bool dispatch(uint8_t type, uint8_t *payload, size_t length, struct outbox *answers) {
  if (!outbox_has_room(answers, HEADER_BYTES + 1 + MAX_ID_BYTES + 8)) return false;
  struct reader reader = {.at = payload, .end = payload + length};
  switch (type) {
    case FRAME_START: return on_start(&reader, answers);
    case FRAME_RESUME: return on_resume_or_ack(type, &reader);
    case FRAME_ACK: return on_resume_or_ack(type, &reader);
    case FRAME_INPUT: return on_input(&reader);
    case FRAME_INPUT_END: return on_input_end(&reader);
    case FRAME_SIGNAL: return on_signal(&reader);
    case FRAME_RESIZE: return on_resize(&reader);
    case FRAME_FORGET: return on_forget(&reader);
    case FRAME_PING: return on_ping(&reader, answers);
    default: return false;
  }
}
