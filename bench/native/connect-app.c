// The app behind the proxies that the benchmark "connect" measures, with as little of its own around it as can be.
//
//   connect-app serve PLACE…        answers HTTP/1.1 at each place: a path (Unix socket) or a port (TCP, all IPv4 addresses).
//                                   Prints "ready"; ends with its standard input.
//   connect-app ask PORT COUNT      COUNT requests over one connection to 127.0.0.1, one after the other; prints the
//                                   nanoseconds of each.
//
// GET /N answers N bytes of zeros, GET of anything else 1 KiB; what a request with a Content-Length brings is swallowed
// first. A CONNECT is answered with 200 and the connection goes on: so it stands in for a gateway's door, too.
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define HEAD_BYTES (16 * 1024)
#define CHUNK (256 * 1024)
#define DEFAULT_BYTES 1024
#define BACKLOG 1024

struct connection {
  int fd;
  size_t have;           // of the head
  uint64_t swallow;      // of a request's body
  bool owes;             // an answer, once that is swallowed
  uint64_t bytes;        // of the answer's body, once it is owed
  uint64_t zeros;        // of the answer's body, still to be sent
  size_t line;           // of the answer's head, still to be sent
  char out[256];
  char head[HEAD_BYTES];
};

static char zeros[CHUNK];
static char waste[CHUNK];

_Noreturn static void fail(const char *what) {
  perror(what);
  exit(1);
}

static int listen_at(const char *place) {
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
  int on = 1;
  if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0) fail(place);
  if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0 || listen(fd, BACKLOG) != 0) fail(place);
  return fd;
}

// The value of a Content-Length; 0 without one. The benchmark's own clients are no attackers.
static uint64_t length_of(const char *head) {
  const char *line = strcasestr(head, "\r\ncontent-length:");
  return line == NULL ? 0 : strtoull(line + 17, NULL, 10);
}

static void answer(struct connection *c, uint64_t bytes) {
  c->line = (size_t)snprintf(c->out, sizeof c->out,
                             "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: %llu\r\n\r\n",
                             (unsigned long long)bytes);
  c->zeros = bytes;
}

// Sends what is owed. False when the connection is over.
static bool send_owed(struct connection *c) {
  while (c->line > 0 || c->zeros > 0) {
    ssize_t sent;
    if (c->line > 0) {
      // Head and body in one piece where they fit: what the proxies read is then one segment.
      char piece[sizeof c->out + 4096];
      size_t body = c->zeros < 4096 ? (size_t)c->zeros : 4096;
      memcpy(piece, c->out, c->line);
      memset(piece + c->line, 0, body);
      sent = send(c->fd, piece, c->line + body, MSG_NOSIGNAL);
      if (sent > 0) {
        size_t of_line = (size_t)sent < c->line ? (size_t)sent : c->line;
        memmove(c->out, c->out + of_line, c->line - of_line);
        c->line -= of_line;
        c->zeros -= (size_t)sent - of_line;
      }
    } else {
      sent = send(c->fd, zeros, c->zeros < CHUNK ? (size_t)c->zeros : CHUNK, MSG_NOSIGNAL);
      if (sent > 0) c->zeros -= (uint64_t)sent;
    }
    if (sent < 0) return errno == EAGAIN;
  }
  return true;
}

// Answers the requests that are there in full. False when the connection is over.
static bool take(struct connection *c) {
  for (;;) {
    if (c->owes && c->swallow == 0 && c->line == 0 && c->zeros == 0) {
      c->owes = false;
      answer(c, c->bytes);
      if (!send_owed(c)) return false;
    }
    if (c->owes || c->line > 0 || c->zeros > 0) return true;
    c->head[c->have] = '\0';
    char *end = strstr(c->head, "\r\n\r\n");
    if (end == NULL) return c->have < HEAD_BYTES - 1;
    size_t taken = (size_t)(end - c->head) + 4;
    end[2] = '\0';
    if (strncmp(c->head, "CONNECT ", 8) == 0) {
      c->line = (size_t)snprintf(c->out, sizeof c->out, "HTTP/1.1 200 OK\r\n\r\n");
    } else {
      const char *path = strchr(c->head, '/');
      uint64_t asked = path == NULL ? 0 : strtoull(path + 1, NULL, 10);
      c->bytes = asked == 0 ? DEFAULT_BYTES : asked;
      c->swallow = length_of(c->head);
      c->owes = true;
    }
    size_t rest = c->have - taken;
    size_t of_body = rest < c->swallow ? rest : (size_t)c->swallow;
    c->swallow -= of_body;
    c->have = rest - of_body;
    memmove(c->head, c->head + taken + of_body, c->have);
    if (!send_owed(c)) return false;
  }
}

enum progress { OVER, WAITS, GOES_ON };

// One read, and what follows from it.
static enum progress step(struct connection *c) {
  if (c->line > 0 || c->zeros > 0) return WAITS; // for room to send
  bool body = c->swallow > 0;
  char *into = body ? waste : c->head + c->have;
  size_t room = body ? (c->swallow < CHUNK ? (size_t)c->swallow : CHUNK) : HEAD_BYTES - 1 - c->have;
  ssize_t got = recv(c->fd, into, room, 0);
  if (got < 0) return errno == EAGAIN ? WAITS : OVER;
  if (got == 0) return OVER;
  if (body) c->swallow -= (uint64_t)got;
  else c->have += (size_t)got;
  return take(c) ? GOES_ON : OVER;
}

static void watch(int epoll, int fd, void *what, uint32_t events) {
  struct epoll_event event = {.events = events, .data = {.ptr = what}};
  if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0) fail("epoll_ctl");
}

static void serve(int count, char **places) {
  int epoll = epoll_create1(EPOLL_CLOEXEC);
  if (epoll < 0) fail("epoll_create1");
  struct connection *doors = calloc((size_t)count + 1, sizeof *doors);
  if (doors == NULL) fail("calloc");
  for (int i = 0; i < count; i += 1) {
    doors[i].fd = listen_at(places[i]);
    watch(epoll, doors[i].fd, &doors[i], EPOLLIN);
  }
  doors[count].fd = STDIN_FILENO;
  watch(epoll, STDIN_FILENO, &doors[count], EPOLLIN | EPOLLHUP);
  puts("ready");
  fflush(stdout);
  for (;;) {
    struct epoll_event events[256];
    int ready = epoll_wait(epoll, events, 256, -1);
    if (ready < 0 && errno != EINTR) fail("epoll_wait");
    for (int i = 0; i < ready; i += 1) {
      struct connection *c = events[i].data.ptr;
      if (c == &doors[count]) exit(0);
      if (c >= doors && c < doors + count) {
        int fd = accept4(c->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0) continue;
        int on = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); // of a Unix socket there is none to set
        struct connection *new = calloc(1, sizeof *new);
        if (new == NULL) fail("calloc");
        new->fd = fd;
        watch(epoll, fd, new, EPOLLIN | EPOLLOUT | EPOLLET);
        continue;
      }
      // Edge-triggered: what could not be sent is tried again, then all that is there is read. The flags do not matter.
      enum progress now = (events[i].events & EPOLLERR) == 0 && send_owed(c) && take(c) ? GOES_ON : OVER;
      while (now == GOES_ON) now = step(c);
      if (now == OVER) {
        close(c->fd);
        free(c);
      }
    }
  }
}

static void receive(int fd, char *into, size_t bytes) {
  for (size_t got = 0; got < bytes;) {
    ssize_t now = recv(fd, into, bytes - got, 0);
    if (now <= 0) fail("recv");
    got += (size_t)now;
  }
}

static void ask(const char *port, long count) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  int on = 1;
  if (fd < 0 || setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0) fail("socket");
  if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0) fail("connect");
  static const char request[] = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
  for (long i = 0; i < count; i += 1) {
    struct timespec from;
    struct timespec to;
    clock_gettime(CLOCK_MONOTONIC, &from);
    if (send(fd, request, sizeof request - 1, MSG_NOSIGNAL) != (ssize_t)sizeof request - 1) fail("send");
    char head[256];
    size_t have = 0;
    while (have < 4 || memcmp(head + have - 4, "\r\n\r\n", 4) != 0) {
      // All of an answer comes in one piece, mostly: look first, then take no more than its head.
      ssize_t seen = recv(fd, head + have, sizeof head - 1 - have, MSG_PEEK);
      if (seen <= 0) fail("recv");
      head[have + (size_t)seen] = '\0';
      char *end = strstr(head, "\r\n\r\n");
      size_t take_now = end == NULL ? (size_t)seen : (size_t)(end - head) + 4 - have;
      receive(fd, head + have, take_now);
      have += take_now;
    }
    receive(fd, waste, DEFAULT_BYTES);
    clock_gettime(CLOCK_MONOTONIC, &to);
    printf("%lld\n", (long long)(to.tv_sec - from.tv_sec) * 1000000000LL + (to.tv_nsec - from.tv_nsec));
  }
}

int main(int argc, char **argv) {
  if (argc >= 3 && strcmp(argv[1], "serve") == 0) {
    serve(argc - 2, argv + 2);
    return 0;
  }
  if (argc == 4 && strcmp(argv[1], "ask") == 0) {
    ask(argv[2], atol(argv[3]));
    return 0;
  }
  fputs("usage: connect-app serve PLACE... | ask PORT COUNT\n", stderr);
  return 2;
}
