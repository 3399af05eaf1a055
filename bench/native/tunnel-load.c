// Clients for the benchmark "tunnel", with as little of their own around them as can be. All speak to the app of
// tunnel-app.c, straight or through an edge; NAME and CA (a file) are given where that is over TLS 1.3.
//
//   tunnel-load bytes ADDRESS PORT down|up STREAMS BYTES [NAME CA]   STREAMS connections at once, BYTES through each
//   tunnel-load ping ADDRESS PORT COUNT [NAME CA]     a byte there and back over one connection, COUNT times; prints the
//                                                     nanoseconds of each
//   tunnel-load connect ADDRESS PORT COUNT [NAME CA]  COUNT new connections, a byte there and back over each, WORKERS at a
//                                                     time, none of TLS resumed
//   tunnel-load hold ADDRESS PORT COUNT [NAME CA]     the same, but they stay; prints "ready", ends with its standard input
//
// Fails where a byte is missing, or another than was sent.
#include "tunnel-bytes.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define WORKERS 8
#define MAX_STREAMS 256
#define PATIENCE_S 30
// No load lasts longer.
#define BOUND_S 240

struct peer {
  int fd;
  SSL *ssl; // NULL in the clear
};

static struct sockaddr_in address;
static const char *name;
static SSL_CTX *context;

_Noreturn static void fail(const char *what) {
  perror(what);
  ERR_print_errors_fp(stderr);
  exit(1);
}

static struct peer dial(void) {
  struct peer peer = {.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  int on = 1;
  struct timeval patience = {.tv_sec = PATIENCE_S};
  if (peer.fd < 0 || setsockopt(peer.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0) fail("socket");
  if (setsockopt(peer.fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) != 0) fail("SO_RCVTIMEO");
  if (setsockopt(peer.fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience) != 0) fail("SO_SNDTIMEO");
  if (connect(peer.fd, (struct sockaddr *)&address, sizeof address) != 0) fail("connect");
  if (context == NULL) return peer;
  peer.ssl = SSL_new(context);
  if (peer.ssl == NULL || SSL_set_fd(peer.ssl, peer.fd) != 1) fail("SSL_new");
  if (SSL_set_tlsext_host_name(peer.ssl, name) != 1 || SSL_set1_host(peer.ssl, name) != 1) fail("name");
  if (SSL_connect(peer.ssl) != 1) fail("SSL_connect");
  if (SSL_session_reused(peer.ssl)) fail("a session was resumed");
  return peer;
}

static void hang_up(struct peer peer) {
  if (peer.ssl != NULL) {
    SSL_shutdown(peer.ssl);
    SSL_free(peer.ssl);
  }
  close(peer.fd);
}

// At least one byte; 0 at the end.
static size_t some(struct peer peer, void *into, size_t room) {
  if (peer.ssl == NULL) {
    ssize_t got = recv(peer.fd, into, room, 0);
    if (got < 0) fail("recv");
    return (size_t)got;
  }
  int got = SSL_read(peer.ssl, into, (int)room);
  if (got > 0) return (size_t)got;
  if (SSL_get_error(peer.ssl, got) != SSL_ERROR_ZERO_RETURN) fail("SSL_read");
  return 0;
}

static void get(struct peer peer, void *into, size_t length) {
  for (size_t have = 0; have < length;) {
    size_t got = some(peer, (char *)into + have, length - have);
    if (got == 0) fail("the connection ended");
    have += got;
  }
}

static void put(struct peer peer, const void *from, size_t length) {
  for (size_t done = 0; done < length;) {
    ssize_t sent = peer.ssl == NULL ? send(peer.fd, (const char *)from + done, length - done, MSG_NOSIGNAL)
                                    : SSL_write(peer.ssl, (const char *)from + done, (int)(length - done));
    if (sent <= 0) fail("send");
    done += (size_t)sent;
  }
}

// An echo's with a byte after it, which comes back.
static void command(struct peer peer, char what, uint64_t count) {
  char bytes[COMMAND_BYTES + 1] = {what};
  memcpy(bytes + 1, &count, sizeof count);
  if (what != ECHO) {
    put(peer, bytes, COMMAND_BYTES);
    return;
  }
  bytes[COMMAND_BYTES] = 'x';
  put(peer, bytes, sizeof bytes);
  char back = 0;
  get(peer, &back, 1);
  if (back != 'x') fail("another byte came back");
}

static void down(struct peer peer, uint64_t count) {
  static _Thread_local unsigned char buffer[CHUNK];
  command(peer, DOWN, count);
  uint64_t place = 0;
  for (;;) {
    size_t got = some(peer, buffer, CHUNK);
    if (got == 0) break;
    if (memcmp(buffer, bytes_at(place), got) != 0) fail("other bytes came");
    place += got;
  }
  if (place != count) fail("another number of bytes came");
}

static void up(struct peer peer, uint64_t count) {
  command(peer, UP, count);
  for (uint64_t place = 0; place < count;) {
    size_t now = count - place < CHUNK ? (size_t)(count - place) : CHUNK;
    put(peer, bytes_at(place), now);
    place += now;
  }
  uint64_t arrived = 0;
  get(peer, &arrived, sizeof arrived);
  if (arrived != count) fail("other bytes arrived");
}

static bool is_up;
static uint64_t bytes_of_each;
static atomic_long to_come;
static struct peer *held;

static void *stream(void *unused) {
  (void)unused;
  struct peer peer = dial();
  (is_up ? up : down)(peer, bytes_of_each);
  hang_up(peer);
  return NULL;
}

static void *come(void *unused) {
  (void)unused;
  for (;;) {
    long index = atomic_fetch_sub(&to_come, 1) - 1;
    if (index < 0) return NULL;
    struct peer peer = dial();
    command(peer, ECHO, 0);
    if (held == NULL) hang_up(peer);
    else held[index] = peer;
  }
}

static void in_threads(int count, void *(*work)(void *)) {
  pthread_t threads[MAX_STREAMS];
  for (int i = 0; i < count; i += 1) {
    if (pthread_create(&threads[i], NULL, work, NULL) != 0) fail("pthread_create");
  }
  for (int i = 0; i < count; i += 1) pthread_join(threads[i], NULL);
}

static void ping(long count) {
  struct peer peer = dial();
  command(peer, ECHO, 0);
  for (long i = 0; i < count; i += 1) {
    char sent = (char)i;
    char back = 0;
    struct timespec from;
    struct timespec to;
    clock_gettime(CLOCK_MONOTONIC, &from);
    put(peer, &sent, 1);
    get(peer, &back, 1);
    clock_gettime(CLOCK_MONOTONIC, &to);
    if (back != sent) fail("another byte came back");
    printf("%lld\n", (long long)(to.tv_sec - from.tv_sec) * 1000000000LL + (to.tv_nsec - from.tv_nsec));
  }
  hang_up(peer);
}

// One cipher and one group for whoever is measured: those that every TLS 1.3 has.
static void use_tls(const char *server, const char *ca) {
  name = server;
  context = SSL_CTX_new(TLS_client_method());
  if (context == NULL || SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) != 1) fail("SSL_CTX_new");
  if (SSL_CTX_set_ciphersuites(context, "TLS_AES_128_GCM_SHA256") != 1) fail("ciphers");
  if (SSL_CTX_set1_groups_list(context, "X25519") != 1) fail("groups");
  if (SSL_CTX_load_verify_locations(context, ca, NULL) != 1) fail(ca);
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
  SSL_CTX_set_mode(context, SSL_MODE_AUTO_RETRY);
}

int main(int argc, char **argv) {
  const char *what = argc > 1 ? argv[1] : "";
  int own = strcmp(what, "bytes") == 0 ? 7 : 5; // arguments before NAME
  if (argc != own && argc != own + 2) {
    fputs("usage: tunnel-load bytes|ping|connect|hold ADDRESS PORT ...; see its source\n", stderr);
    return 2;
  }
  alarm(BOUND_S);
  signal(SIGPIPE, SIG_IGN); // OpenSSL writes without MSG_NOSIGNAL
  make_pattern();
  address = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[3]))};
  if (inet_pton(AF_INET, argv[2], &address.sin_addr) != 1) fail("address");
  if (argc > own) use_tls(argv[own], argv[own + 1]);
  if (strcmp(what, "bytes") == 0) {
    is_up = strcmp(argv[4], "up") == 0;
    bytes_of_each = strtoull(argv[6], NULL, 10);
    int streams = atoi(argv[5]);
    if (streams < 1 || streams > MAX_STREAMS) fail("streams");
    in_threads(streams, stream);
    return 0;
  }
  long count = atol(argv[4]);
  if (strcmp(what, "ping") == 0) {
    ping(count);
    return 0;
  }
  bool holds = strcmp(what, "hold") == 0;
  if (holds) held = calloc((size_t)count, sizeof *held);
  if (holds && held == NULL) fail("calloc");
  to_come = count;
  in_threads(WORKERS, come);
  if (!holds) return 0;
  puts("ready");
  fflush(stdout);
  char end;
  while (read(STDIN_FILENO, &end, 1) > 0) continue;
  return 0;
}
