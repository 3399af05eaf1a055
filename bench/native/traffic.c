// Traffic for the benchmark of the router's rules, with as little of its own around it as can be.
//
//   traffic serve ADDRESS PORT          TCP: swallows what comes, ends what ends. UDP: a socket that is never read.
//                                       Prints "ready"; ends with its standard input.
//   traffic stream ADDRESS PORT BYTES   one TCP connection, BYTES through it, until the other side has them all
//   traffic connect ADDRESS PORT COUNT  COUNT connections one after the other: opened, a byte each way, ended
//   traffic crowd ADDRESS PORT COUNT    the same, up to 32 at a time, so that nobody ever waits for the other side
//   traffic datagrams ADDRESS PORT COUNT  COUNT datagrams of 18 bytes (the smallest frame) of a flow that was answered
//
// All but the first print the nanoseconds they took. Addresses are numeric, of either family.
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CHUNK (256 * 1024)
// What the server does for a connection is told by its first byte.
#define ANSWER 'a'
#define SWALLOW 's'
#define MEET 'm'
#define CROWD 32
#define PATIENCE_S 5
// No load lasts longer.
#define BOUND_S 60

static char chunk[CHUNK];

_Noreturn static void fail(const char *what) {
  perror(what);
  exit(1);
}

static struct addrinfo *resolve(const char *address, const char *port, int type) {
  struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV, .ai_socktype = type};
  struct addrinfo *found = NULL;
  if (getaddrinfo(address, port, &hints, &found) != 0) fail("address");
  return found;
}

static int make_socket(const struct addrinfo *to) {
  int fd = socket(to->ai_family, to->ai_socktype | SOCK_CLOEXEC, 0);
  if (fd < 0) fail("socket");
  return fd;
}

static int dial(const struct addrinfo *to) {
  int fd = make_socket(to);
  if (connect(fd, to->ai_addr, to->ai_addrlen) != 0) fail("connect");
  return fd;
}

static uint64_t now_ns(void) {
  struct timespec at;
  clock_gettime(CLOCK_MONOTONIC, &at);
  return (uint64_t)at.tv_sec * 1000000000u + (uint64_t)at.tv_nsec;
}

static void put(int fd, const char *from, size_t length) {
  while (length > 0) {
    ssize_t sent = send(fd, from, length, MSG_NOSIGNAL);
    if (sent < 0) fail("send");
    from += sent;
    length -= (size_t)sent;
  }
}

static int bound(const char *address, const char *port, int type) {
  struct addrinfo *at = resolve(address, port, type);
  int fd = make_socket(at);
  int on = 1;
  if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0) fail("SO_REUSEADDR");
  if (at->ai_family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) != 0) fail("V6ONLY");
  if (bind(fd, at->ai_addr, at->ai_addrlen) != 0) fail("bind");
  freeaddrinfo(at);
  return fd;
}

static void watch(int poll, int fd) {
  struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
  if (epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event) != 0) fail("epoll_ctl");
}

static void be_patient(int fd) {
  struct timeval patience = {.tv_sec = PATIENCE_S};
  if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) != 0) fail("SO_RCVTIMEO");
}

// Answers the first datagram of a flow that is about to begin, as told by a connection; the rest is left unread.
static void meet(int fd, int datagrams) {
  while (recv(datagrams, chunk, sizeof chunk, MSG_DONTWAIT) >= 0) continue;
  put(fd, chunk, 1);
  struct sockaddr_storage from;
  socklen_t length = sizeof from;
  if (recvfrom(datagrams, chunk, sizeof chunk, 0, (struct sockaddr *)&from, &length) < 0) fail("no first datagram");
  if (sendto(datagrams, chunk, 1, 0, (struct sockaddr *)&from, length) != 1) fail("sendto");
}

// Whoever asked for an answer gets one byte; whoever sends gets none.
static void attend(int fd, int datagrams) {
  ssize_t got = recv(fd, chunk, sizeof chunk, MSG_DONTWAIT);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got <= 0) close(fd);
  else if (chunk[0] == ANSWER) put(fd, chunk, 1);
  else if (chunk[0] == MEET) meet(fd, datagrams);
}

static void serve(const char *address, const char *port) {
  int listener = bound(address, port, SOCK_STREAM);
  if (listen(listener, 4096) != 0) fail("listen");
  int unread = bound(address, port, SOCK_DGRAM);
  be_patient(unread);
  int poll = epoll_create1(EPOLL_CLOEXEC);
  if (poll < 0) fail("epoll_create1");
  watch(poll, listener);
  watch(poll, STDIN_FILENO);
  puts("ready");
  fflush(stdout);
  for (;;) {
    struct epoll_event event;
    int count = epoll_wait(poll, &event, 1, -1);
    if (count < 0 && errno != EINTR) fail("epoll_wait");
    if (count < 1) continue;
    if (event.data.fd == STDIN_FILENO) return;
    if (event.data.fd != listener) {
      attend(event.data.fd, unread);
      continue;
    }
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (fd >= 0) watch(poll, fd);
  }
}

static void stream(const struct addrinfo *to, uint64_t bytes) {
  int fd = dial(to);
  memset(chunk, SWALLOW, sizeof chunk);
  while (bytes > 0) {
    size_t length = bytes < sizeof chunk ? (size_t)bytes : sizeof chunk;
    put(fd, chunk, length);
    bytes -= length;
  }
  // The other side ends after the last byte.
  if (shutdown(fd, SHUT_WR) != 0) fail("shutdown");
  if (recv(fd, chunk, 1, 0) != 0) fail("recv");
  close(fd);
}

static void begin_connection(int poll, const struct addrinfo *to) {
  int fd = make_socket(to);
  // Ended by a reset, so that neither side keeps the pair of ports for a minute.
  struct linger reset = {.l_onoff = 1, .l_linger = 0};
  if (setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset) != 0) fail("SO_LINGER");
  if (fcntl(fd, F_SETFL, O_NONBLOCK) != 0) fail("O_NONBLOCK");
  if (connect(fd, to->ai_addr, to->ai_addrlen) != 0 && errno != EINPROGRESS) fail("connect");
  struct epoll_event event = {.events = EPOLLOUT, .data.fd = fd};
  if (epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event) != 0) fail("epoll_ctl");
}

static void connections(const struct addrinfo *to, uint64_t count, uint64_t width) {
  int poll = epoll_create1(EPOLL_CLOEXEC);
  if (poll < 0) fail("epoll_create1");
  uint64_t begun = 0;
  for (; begun < count && begun < width; begun++) begin_connection(poll, to);
  char byte = ANSWER;
  for (uint64_t ended = 0; ended < count;) {
    struct epoll_event event;
    int ready = epoll_wait(poll, &event, 1, PATIENCE_S * 1000);
    if (ready < 1) fail("epoll_wait");
    int fd = event.data.fd;
    if ((event.events & EPOLLOUT) != 0) {
      put(fd, &byte, 1);
      event.events = EPOLLIN;
      if (epoll_ctl(poll, EPOLL_CTL_MOD, fd, &event) != 0) fail("epoll_ctl");
      continue;
    }
    if (recv(fd, &byte, 1, 0) != 1) fail("recv");
    close(fd);
    ended++;
    if (begun < count) {
      begun++;
      begin_connection(poll, to);
    }
  }
  close(poll);
}

// Answers the nanoseconds that all but the first took.
static uint64_t datagrams(const struct addrinfo *to, uint64_t count) {
  struct addrinfo by_stream = *to;
  by_stream.ai_socktype = SOCK_STREAM;
  int control = dial(&by_stream);
  char byte = MEET;
  put(control, &byte, 1);
  if (recv(control, &byte, 1, 0) != 1) fail("the server");
  int fd = dial(to);
  char payload[18] = {0};
  be_patient(fd);
  put(fd, payload, sizeof payload);
  if (recv(fd, payload, sizeof payload, 0) < 0) fail("no answer");
  uint64_t started = now_ns();
  for (; count > 0; count--) {
    if (send(fd, payload, sizeof payload, 0) < 0) fail("send");
  }
  uint64_t took = now_ns() - started;
  close(fd);
  close(control);
  return took;
}

int main(int argc, char **argv) {
  if (argc == 4 && strcmp(argv[1], "serve") == 0) {
    serve(argv[2], argv[3]);
    return 0;
  }
  if (argc != 5) {
    fputs("usage: traffic serve|stream|connect|crowd|datagrams ADDRESS PORT [AMOUNT]\n", stderr);
    return 2;
  }
  alarm(BOUND_S);
  bool packets = strcmp(argv[1], "datagrams") == 0;
  struct addrinfo *to = resolve(argv[2], argv[3], packets ? SOCK_DGRAM : SOCK_STREAM);
  uint64_t amount = strtoull(argv[4], NULL, 10);
  uint64_t started = now_ns();
  uint64_t took = packets ? datagrams(to, amount) : 0;
  if (!packets && strcmp(argv[1], "stream") == 0) stream(to, amount);
  if (strcmp(argv[1], "connect") == 0) connections(to, amount, 1);
  if (strcmp(argv[1], "crowd") == 0) connections(to, amount, CROWD);
  if (!packets) took = now_ns() - started;
  printf("%llu\n", (unsigned long long)took);
  return 0;
}
