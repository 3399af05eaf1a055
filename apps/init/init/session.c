// Bytes from and to the gateway. Two outboxes: answers go before output, at the bounds of what is under way.
#include "session.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dispatch.h"
#include "process.h"
#include "protocol.h"
#include "watch.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(address, length) ((void)(address), (void)(length))
#define ASAN_UNPOISON_MEMORY_REGION(address, length) ((void)(address), (void)(length))
#endif

#define RECEIVE_BYTES (2 * MAX_PAYLOAD_BYTES)

static struct watch connection = {.fd = -1};
// What was received and not acted on. One byte more than its capacity is allocated: see dispatch.
static uint8_t *received;
static size_t received_length, received_capacity;
static uint8_t answer_bytes[ANSWER_BYTES], flow_bytes[FLOW_BYTES];
static struct outbox answers = {.bytes = answer_bytes, .capacity = ANSWER_BYTES};
static struct outbox flow = {.bytes = flow_bytes, .capacity = FLOW_BYTES};

static bool resize_received(size_t capacity) {
  if (capacity == received_capacity) return true;
  uint8_t *bytes = realloc(received, capacity + 1);
  if (bytes == NULL) return false;
  received = bytes;
  received_capacity = capacity;
  return true;
}

bool session_setup(void) { return resize_received(RECEIVE_BYTES); }

static void session_end(void) {
  watch_close(&connection);
  received_length = 0;
  (void)resize_received(RECEIVE_BYTES);
  answers.sent = answers.length = 0;
  flow.sent = flow.length = 0;
}

void session_begin(int fd) {
  session_end();
  watch_begin(&connection, fd, WATCH_GATEWAY, 0);
  watch_set(&connection, EPOLLIN);
  process_new_connection();
  tell_welcome(&answers);
}

static bool has_backlog(void) { return outbox_pending(&answers) >= ANSWER_PAUSE_BYTES; }

// Acts on every whole frame. False: the connection has to end.
static bool act_on_received(void) {
  size_t at = 0;
  bool sound = true;
  while (sound && !has_backlog() && received_length - at >= HEADER_BYTES) {
    struct reader header = {.at = received + at, .end = received + at + HEADER_BYTES};
    size_t length = read_u32(&header);
    uint8_t type = read_u8(&header);
    size_t limit = dispatch_max_payload(type);
    if (limit == 0 || length > limit) return false;
    size_t whole = HEADER_BYTES + length;
    if (received_length - at < whole) {
      if (whole > received_capacity) sound = resize_received(whole);
      break;
    }
    // dispatch ends strings in place, so the byte behind the payload, which begins the next frame, is put back.
    uint8_t *behind = received + at + whole;
    uint8_t saved = *behind;
    // With sanitizers a read beyond the frame is as fatal as one beyond the buffer.
    size_t rest = (size_t)(received + received_capacity - behind);
    ASAN_POISON_MEMORY_REGION(behind + 1, rest);
    sound = dispatch(type, received + at + HEADER_BYTES, length, &answers);
    ASAN_UNPOISON_MEMORY_REGION(behind + 1, rest);
    *behind = saved;
    at += whole;
  }
  received_length -= at;
  memmove(received, received + at, received_length);
  if (received_length <= HEADER_BYTES) sound = resize_received(RECEIVE_BYTES) && sound;
  return sound;
}

void session_event(void) {
  if (connection.fd < 0 || received_length == received_capacity) return;
  ssize_t got = read(connection.fd, received + received_length, received_capacity - received_length);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got <= 0) {
    session_end();
    return;
  }
  received_length += (size_t)got;
  if (!act_on_received()) session_end();
}

// False: the connection takes no more now, or is gone.
static bool send_pending(struct outbox *outbox, size_t *budget) {
  size_t pending = outbox_pending(outbox);
  ssize_t put = send(connection.fd, outbox->bytes + outbox->sent, pending, MSG_NOSIGNAL);
  if (put < 0) {
    if (errno != EAGAIN && errno != EINTR) session_end();
    return false;
  }
  outbox->sent += (size_t)put;
  if (outbox->sent == outbox->length) outbox->sent = outbox->length = 0;
  *budget -= (size_t)put < *budget ? (size_t)put : *budget;
  return (size_t)put == pending;
}

// Sends until the connection takes no more, nothing is left, or the turn is over. True: nothing is left.
static bool send_all(void) {
  size_t budget = TURN_BYTES;
  while (connection.fd >= 0 && budget > 0) {
    // Never between the parts of what is half sent: flow is empty whenever answers go.
    if (outbox_pending(&flow) > 0) {
      if (!send_pending(&flow, &budget)) return false;
      continue;
    }
    tell_news(&answers);
    if (outbox_pending(&answers) > 0) {
      if (!send_pending(&answers, &budget)) return false;
      continue;
    }
    tell_output(&flow);
    if (outbox_pending(&flow) == 0) return true;
  }
  return false;
}

void session_flush(void) {
  if (connection.fd < 0) return;
  bool idle = send_all();
  // Frames that waited for the backlog of answers to shrink.
  while (connection.fd >= 0 && !has_backlog() && received_length >= HEADER_BYTES) {
    size_t before = received_length;
    if (!act_on_received()) session_end();
    if (received_length == before) break;
    idle = send_all();
  }
  if (connection.fd < 0) return;
  uint32_t reads = has_backlog() || received_length == received_capacity ? 0 : EPOLLIN;
  watch_set(&connection, reads | (idle ? 0 : EPOLLOUT));
}
