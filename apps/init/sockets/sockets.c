// Opens the resolver's sockets in the router's network namespace, and runs a program outside of it that has them.
//
//   sallyport-resolver-sockets --net=PATH --uid=NUMBER [--port=NUMBER] -- program [argument]...
//
// Started as root. A socket keeps the namespace in which it was made, and the user who made it: the router's rules let
// only sockets of this user answer. The program finds them by SALLYPORT_RESOLVER_SOCKETS, four descriptors separated by
// commas: UDP over IPv4, UDP over IPv6, TCP over IPv4, TCP over IPv6, all bound to every address and not listening yet.
// It is still root: whom it becomes is the business of the arguments (setpriv).
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/socket.h>
#include <unistd.h>

#define NAME "sallyport-resolver-sockets"
#define VARIABLE "SALLYPORT_RESOLVER_SOCKETS"
// Exit statuses of ours, as env and timeout have them.
#define STATUS_OWN_FAILURE 125
#define STATUS_NOT_EXECUTABLE 126
#define STATUS_NOT_FOUND 127

#define DNS_PORT 53
// Queries that wait for the program: about 5,000 of them, with what the kernel adds to each.
#define RECEIVE_BYTES (4 * 1024 * 1024)
#define SOCKETS 4

struct options {
  const char *namespace;
  uid_t uid;
  uint16_t port;
  char **program;
};

_Noreturn static void fail(const char *what) {
  (void)dprintf(STDERR_FILENO, NAME ": %s: %s\n", what, strerror(errno));
  _exit(STATUS_OWN_FAILURE);
}

_Noreturn static void usage(void) {
  (void)dprintf(STDERR_FILENO, "usage: " NAME " --net=PATH --uid=NUMBER [--port=NUMBER] -- program [argument]...\n");
  _exit(STATUS_OWN_FAILURE);
}

// What follows a prefix; NULL: the argument begins otherwise.
static const char *after(const char *argument, const char *prefix) {
  size_t length = strlen(prefix);
  return strncmp(argument, prefix, length) == 0 ? argument + length : NULL;
}

// Digits and nothing else, 1 to most.
static unsigned long number(const char *text, unsigned long most) {
  if (*text == '\0' || text[strspn(text, "0123456789")] != '\0') usage();
  errno = 0;
  unsigned long value = strtoul(text, NULL, 10);
  if (errno != 0 || value == 0 || value > most) usage();
  return value;
}

static struct options read_options(char **argv) {
  struct options options = {.port = DNS_PORT};
  for (argv += 1; *argv != NULL && strcmp(*argv, "--") != 0; argv += 1) {
    const char *value;
    if ((value = after(*argv, "--net=")) != NULL) {
      options.namespace = value;
    } else if ((value = after(*argv, "--uid=")) != NULL) {
      options.uid = (uid_t)number(value, UINT32_MAX - 1);
    } else if ((value = after(*argv, "--port=")) != NULL) {
      options.port = (uint16_t)number(value, UINT16_MAX);
    } else {
      usage();
    }
  }
  if (options.namespace == NULL || options.uid == 0 || *argv == NULL || argv[1] == NULL) usage();
  options.program = argv + 1;
  return options;
}

static int open_namespace(const char *path) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) fail(path);
  return fd;
}

static void enter(int namespace, const char *name) {
  if (setns(namespace, CLONE_NEWNET) != 0) fail(name);
}

// Files, and so sockets, belong to this user from now on. The privileges of binding and of namespaces stay.
static void own_files_as(uid_t uid) {
  (void)setfsuid(uid);
  // The call itself tells nothing of a failure; a second one with an impossible id tells who it is.
  if ((uid_t)setfsuid((uid_t)-1) != uid) {
    errno = EPERM;
    fail("setfsuid");
  }
}

static void turn_on(int fd, int level, int option, int value, const char *what) {
  if (setsockopt(fd, level, option, &value, sizeof value) != 0) fail(what);
}

// Bound to every address of one family. What is asked at one address of a router is answered from there: each slot has a
// link of its own, and the kernel answers into a link from that link's address.
static int open_socket(int family, int type, uint16_t port) {
  int fd = socket(family, type, 0);
  if (fd < 0) fail("socket");
  if (type == SOCK_STREAM) turn_on(fd, SOL_SOCKET, SO_REUSEADDR, 1, "SO_REUSEADDR");
  if (type == SOCK_DGRAM) turn_on(fd, SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BYTES, "SO_RCVBUFFORCE");
  struct sockaddr_in any4 = {.sin_family = AF_INET, .sin_port = htons(port)};
  struct sockaddr_in6 any6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
  int bound;
  if (family == AF_INET6) {
    turn_on(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1, "IPV6_V6ONLY");
    bound = bind(fd, (const struct sockaddr *)&any6, sizeof any6);
  } else {
    bound = bind(fd, (const struct sockaddr *)&any4, sizeof any4);
  }
  if (bound != 0) fail(type == SOCK_STREAM ? "cannot bind TCP" : "cannot bind UDP");
  return fd;
}

static void tell(const int sockets[SOCKETS]) {
  char text[SOCKETS * (sizeof "-2147483648,")];
  (void)snprintf(text, sizeof text, "%d,%d,%d,%d", sockets[0], sockets[1], sockets[2], sockets[3]);
  if (setenv(VARIABLE, text, 1) != 0) fail("setenv");
}

int main(int argc, char **argv) {
  (void)argc;
  struct options options = read_options(argv);
  int home = open_namespace("/proc/self/ns/net");
  int router = open_namespace(options.namespace);
  enter(router, "cannot enter the router's network namespace");
  own_files_as(options.uid);
  const int sockets[SOCKETS] = {
    open_socket(AF_INET, SOCK_DGRAM, options.port),
    open_socket(AF_INET6, SOCK_DGRAM, options.port),
    open_socket(AF_INET, SOCK_STREAM, options.port),
    open_socket(AF_INET6, SOCK_STREAM, options.port),
  };
  own_files_as(geteuid());
  enter(home, "cannot go back to the own network namespace");
  tell(sockets);
  (void)execvp(options.program[0], options.program);
  int error = errno;
  (void)dprintf(STDERR_FILENO, NAME ": cannot start %s: %s\n", options.program[0], strerror(error));
  return error == ENOENT ? STATUS_NOT_FOUND : STATUS_NOT_EXECUTABLE;
}
