// The app behind the edges that the benchmark "tunnel" measures, with as little of its own around it as can be.
//
//   tunnel-app PLACE…   serves at each place: a path (Unix socket) or a port (TCP, all IPv4 addresses). Prints "ready"; ends
//                       with its standard input.
//
// A connection begins with a command (tunnel-bytes.h). A CONNECT before it is answered with 200: so it stands in for a
// gateway's door, too.
#include "tunnel-bytes.h"
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 4096
#define HEAD_BYTES 1024

struct connection {
  int fd;
  char mode;          // of the command; 0 before it
  bool is_last;       // nothing is sent after what is in `out`
  bool is_done;       // what still comes is swallowed
  uint64_t left;      // of the command's count
  uint64_t place;     // in the stream
  uint64_t as_it_should_be;
  size_t have;        // of the head
  size_t owed;        // of `out`
  unsigned char head[HEAD_BYTES];
  unsigned char out[HEAD_BYTES];
};

static unsigned char waste[CHUNK];

_Noreturn static void fail(const char *what) {
  perror(what);
  exit(1);
}

static int listen_at(const char *place) {
  int on = 1;
  if (place[0] == '/') {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(place) >= sizeof address.sun_path) fail("path");
    strcpy(address.sun_path, place);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) != 0 || listen(fd, BACKLOG) != 0) fail(place);
    return fd;
  }
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(place))};
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0) fail(place);
  if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0 || listen(fd, BACKLOG) != 0) fail(place);
  return fd;
}

static void owe(struct connection *c, const void *bytes, size_t length) {
  memcpy(c->out + c->owed, bytes, length);
  c->owed += length;
}

// What the client sent while its command goes on. At most what fits into `out` of an echo.
static void take(struct connection *c, const unsigned char *bytes, size_t length) {
  if (c->mode == ECHO) {
    owe(c, bytes, length);
    return;
  }
  if (memcmp(bytes, bytes_at(c->place), length) == 0) c->as_it_should_be += length;
  c->place += length;
  c->left -= length;
  if (c->left > 0) return;
  owe(c, &c->as_it_should_be, sizeof c->as_it_should_be);
  c->is_last = true;
}

// Looks at the head: a CONNECT, or a command and what follows it. False when it is neither.
static bool begin(struct connection *c) {
  while (c->mode == 0 && c->have > 0) {
    if (c->head[0] != 'C') {
      if (c->have < COMMAND_BYTES) return true;
      c->mode = (char)c->head[0];
      memcpy(&c->left, c->head + 1, sizeof c->left);
      if (c->mode != DOWN && c->mode != UP && c->mode != ECHO) return false;
      size_t rest = c->have - COMMAND_BYTES;
      if (rest > 0 && c->mode != DOWN) take(c, c->head + COMMAND_BYTES, rest);
      return true;
    }
    unsigned char *end = memmem(c->head, c->have, "\r\n\r\n", 4);
    if (end == NULL) return c->have < HEAD_BYTES;
    static const char answer[] = "HTTP/1.1 200 OK\r\n\r\n";
    owe(c, answer, sizeof answer - 1);
    c->have -= (size_t)(end + 4 - c->head);
    memmove(c->head, end + 4, c->have);
  }
  return true;
}

enum progress { OVER, WAITS, GOES_ON };

// One write or read, and what follows from it.
static enum progress step(struct connection *c) {
  ssize_t done;
  if (c->owed > 0) {
    done = send(c->fd, c->out, c->owed, MSG_NOSIGNAL);
    if (done < 0) return errno == EAGAIN ? WAITS : OVER;
    c->owed -= (size_t)done;
    memmove(c->out, c->out + done, c->owed);
    return GOES_ON;
  }
  if (c->mode == DOWN && c->left > 0) {
    done = send(c->fd, bytes_at(c->place), c->left < CHUNK ? (size_t)c->left : CHUNK, MSG_NOSIGNAL);
    if (done < 0) return errno == EAGAIN ? WAITS : OVER;
    c->place += (uint64_t)done;
    c->left -= (uint64_t)done;
    c->is_last = c->left == 0;
    return GOES_ON;
  }
  if (c->is_last && !c->is_done) {
    shutdown(c->fd, SHUT_WR);
    c->is_done = true;
  }
  if (c->mode == 0) {
    done = recv(c->fd, c->head + c->have, HEAD_BYTES - c->have, 0);
  } else {
    size_t room = c->mode == ECHO ? HEAD_BYTES : c->mode == UP && c->left > 0 && c->left < CHUNK ? (size_t)c->left : CHUNK;
    done = recv(c->fd, waste, room, 0);
  }
  if (done < 0) return errno == EAGAIN ? WAITS : OVER;
  if (done == 0) return OVER;
  if (c->mode == 0) {
    c->have += (size_t)done;
    return begin(c) ? GOES_ON : OVER;
  }
  if (!c->is_done) take(c, waste, (size_t)done);
  return GOES_ON;
}

static void watch(int epoll, int fd, void *what, uint32_t events) {
  struct epoll_event event = {.events = events, .data = {.ptr = what}};
  if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0) fail("epoll_ctl");
}

static void welcome(int epoll, int door) {
  int fd = accept4(door, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (fd < 0) return;
  int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); // of a Unix socket there is none to set
  struct connection *c = calloc(1, sizeof *c);
  if (c == NULL) fail("calloc");
  c->fd = fd;
  watch(epoll, fd, c, EPOLLIN | EPOLLOUT | EPOLLET);
}

int main(int argc, char **argv) {
  int count = argc - 1;
  make_pattern();
  int epoll = epoll_create1(EPOLL_CLOEXEC);
  struct connection *doors = calloc((size_t)count + 1, sizeof *doors);
  if (epoll < 0 || doors == NULL) fail("epoll_create1");
  for (int i = 0; i < count; i += 1) {
    doors[i].fd = listen_at(argv[i + 1]);
    watch(epoll, doors[i].fd, &doors[i], EPOLLIN);
  }
  watch(epoll, STDIN_FILENO, &doors[count], EPOLLIN | EPOLLHUP);
  puts("ready");
  fflush(stdout);
  for (;;) {
    struct epoll_event events[256];
    int ready = epoll_wait(epoll, events, 256, -1);
    if (ready < 0 && errno != EINTR) fail("epoll_wait");
    for (int i = 0; i < ready; i += 1) {
      struct connection *c = events[i].data.ptr;
      if (c == &doors[count]) return 0;
      if (c >= doors && c < doors + count) {
        welcome(epoll, c->fd);
        continue;
      }
      // Edge-triggered: goes on until nothing can be sent, or nothing is there.
      enum progress now = (events[i].events & EPOLLERR) == 0 ? GOES_ON : OVER;
      while (now == GOES_ON) now = step(c);
      if (now == OVER) {
        close(c->fd);
        free(c);
      }
    }
  }
}
