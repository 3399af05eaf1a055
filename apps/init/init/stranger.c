// The listener, and the one frame that a stranger may send: HELLO with the secret.
#include "stranger.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "session.h"
#include "watch.h"

#define BACKLOG 16
#define HELLO_BYTES (HEADER_BYTES + HELLO_PAYLOAD_BYTES)

struct stranger {
  struct watch watch;
  uint32_t number;
  int64_t deadline_ms;
  size_t length;
  uint8_t hello[HELLO_BYTES];
};

// In order of their coming: the first is the oldest.
static struct stranger strangers[MAX_STRANGERS];
static unsigned count;
static uint32_t last_number;
static struct watch listener = {.fd = -1};
static uint8_t expected[HELLO_BYTES];

static int bound_socket(int family, uint16_t port) {
  int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  int on = 1, off = 0;
  (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = IN6ADDR_ANY_INIT};
  struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_ANY)};
  bool is_six = family == AF_INET6;
  if (is_six) (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
  const struct sockaddr *address = is_six ? (const struct sockaddr *)&six : (const struct sockaddr *)&four;
  socklen_t length = is_six ? sizeof six : sizeof four;
  if (bind(fd, address, length) == 0 && listen(fd, BACKLOG) == 0) return fd;
  (void)close(fd);
  return -1;
}

uint16_t stranger_listen(uint16_t port, const uint8_t secret[SECRET_BYTES]) {
  static const uint8_t head[] = {0, 0, 0, HELLO_PAYLOAD_BYTES, FRAME_HELLO, 'S', 'L', 'Y', 'P', PROTOCOL_VERSION};
  memcpy(expected, head, sizeof head);
  memcpy(expected + sizeof head, secret, SECRET_BYTES);
  int fd = bound_socket(AF_INET6, port);
  if (fd < 0) fd = bound_socket(AF_INET, port);
  if (fd < 0) return 0;
  watch_begin(&listener, fd, WATCH_LISTENER, 0);
  watch_set(&listener, EPOLLIN);
  struct sockaddr_in6 address = {0};
  socklen_t length = sizeof address;
  // The port lies at the same place in both families.
  if (getsockname(fd, (struct sockaddr *)&address, &length) != 0) return 0;
  return ntohs(address.sin6_port);
}

static void remove_at(unsigned index) {
  count -= 1;
  memmove(&strangers[index], &strangers[index + 1], (count - index) * sizeof strangers[0]);
}

static void turn_away(unsigned index) {
  watch_close(&strangers[index].watch);
  remove_at(index);
}

void stranger_accept(void) {
  int fd = accept4(listener.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd < 0) {
    // Out of descriptors or memory: without the pause the loop would spin on the waiting connection.
    if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
      watch_set(&listener, WATCH_OFF);
      watch_starved = true;
    }
    return;
  }
  int on = 1;
  (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  // The gateway greets at once, so whoever has waited longest is the least likely to be it.
  if (count == MAX_STRANGERS) turn_away(0);
  struct stranger *stranger = &strangers[count++];
  *stranger = (struct stranger){.number = ++last_number, .deadline_ms = watch_now_ms() + HELLO_TIMEOUT_MS};
  watch_begin(&stranger->watch, fd, WATCH_STRANGER, stranger->number);
  watch_set(&stranger->watch, EPOLLIN);
}

// As long as what is compared, whatever differs: time tells nothing about the secret.
static bool same_bytes(const uint8_t *a, const uint8_t *b, size_t length) {
  volatile uint8_t difference = 0;
  for (size_t i = 0; i < length; i++) difference = (uint8_t)(difference | (a[i] ^ b[i]));
  return difference == 0;
}

void stranger_event(uint32_t number) {
  unsigned index = 0;
  while (index < count && strangers[index].number != number) index += 1;
  if (index == count) return;
  struct stranger *stranger = &strangers[index];
  ssize_t got = read(stranger->watch.fd, stranger->hello + stranger->length, HELLO_BYTES - stranger->length);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got <= 0) {
    turn_away(index);
    return;
  }
  stranger->length += (size_t)got;
  size_t head = stranger->length < HEADER_BYTES ? stranger->length : HEADER_BYTES;
  if (memcmp(stranger->hello, expected, head) != 0) {
    turn_away(index);
    return;
  }
  if (stranger->length < HELLO_BYTES) return;
  if (!same_bytes(stranger->hello, expected, HELLO_BYTES)) {
    turn_away(index);
    return;
  }
  watch_set(&stranger->watch, WATCH_OFF);
  int fd = stranger->watch.fd;
  remove_at(index);
  session_begin(fd);
}

void stranger_retry(void) { watch_set(&listener, EPOLLIN); }

int stranger_expire(void) {
  int64_t now = watch_now_ms();
  while (count > 0 && strangers[0].deadline_ms <= now) turn_away(0);
  return count == 0 ? -1 : (int)(strangers[0].deadline_ms - now) + 1;
}
