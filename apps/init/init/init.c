// The first process of a sandbox: takes its secret, listens for the gateway, runs what it is told, reaps what ends.
// Started by itself for an operation on files, it does that instead.
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../files/files.h"
#include "process.h"
#include "protocol.h"
#include "session.h"
#include "spawn.h"
#include "stranger.h"
#include "watch.h"

#define SECRET_NAME "SALLYPORT_INIT_SECRET"
// For tests outside of a sandbox: another port than INIT_PORT. It is told on stdout, which is what 0 needs.
#define PORT_NAME "SALLYPORT_INIT_PORT"
#define EVENTS 64

_Noreturn static void give_up(const char *problem) {
  (void)dprintf(STDERR_FILENO, "sallyport-init: %s\n", problem);
  exit(1);
}

static int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

static bool read_secret(const char *text, uint8_t secret[SECRET_BYTES]) {
  if (text == NULL || strlen(text) != (size_t)SECRET_BYTES * 2) return false;
  for (int i = 0; i < SECRET_BYTES; i++) {
    int high = hex_digit(text[2 * i]), low = hex_digit(text[2 * i + 1]);
    if (high < 0 || low < 0) return false;
    secret[i] = (uint8_t)(high << 4 | low);
  }
  return true;
}

// /proc/1/environ shows the block that the kernel wrote for us: it is overwritten, not just forgotten.
static void erase_environment(void) {
  extern char **environ;
  for (char **entry = environ; *entry != NULL; entry++) explicit_bzero(*entry, strlen(*entry));
  environ[0] = NULL;
}

static uint16_t read_port(const char *text) {
  if (text == NULL) return INIT_PORT;
  char *end;
  unsigned long port = strtoul(text, &end, 10);
  if (*text == '\0' || *end != '\0' || port > UINT16_MAX) give_up(PORT_NAME " is no port");
  return (uint16_t)port;
}

// Descriptors of whoever started us are not for our children; and 0 to 2 must be taken, so that no pipe gets there.
static void settle_descriptors(void) {
  (void)close_range(3, ~0u, 0);
  int fd;
  do {
    fd = open("/dev/null", O_RDWR | O_CLOEXEC);
  } while (fd >= 0 && fd <= 2);
  if (fd > 2) (void)close(fd);
}

// The end of a child is an event of the loop.
static int hear_children(void) {
  sigset_t mask;
  sigemptyset(&mask);
  sigaddset(&mask, SIGCHLD);
  if (sigprocmask(SIG_SETMASK, &mask, NULL) != 0) return -1;
  return signalfd(-1, &mask, SFD_NONBLOCK | SFD_CLOEXEC);
}

static void reap(int signals) {
  struct signalfd_siginfo news;
  while (read(signals, &news, sizeof news) > 0) continue;
  int status;
  pid_t pid;
  while ((pid = waitpid(-1, &status, WNOHANG)) > 0) process_reaped(pid, status);
}

static void act_on(const struct epoll_event *event, int signals) {
  uint32_t number = watch_number_of(event->data.u64);
  enum watch_kind kind = watch_kind_of(event->data.u64);
  switch (kind) {
    case WATCH_LISTENER: stranger_accept(); break;
    case WATCH_SIGNALS: reap(signals); break;
    case WATCH_STRANGER: stranger_event(number); break;
    case WATCH_GATEWAY: session_event(); break;
    case WATCH_INPUT:
    case WATCH_STDOUT:
    case WATCH_STDERR: process_event(number, kind, event->events); break;
  }
}

// Of two waits; a negative one has no end.
static int sooner(int a_ms, int b_ms) {
  if (a_ms < 0) return b_ms;
  return b_ms < 0 || a_ms < b_ms ? a_ms : b_ms;
}

static void retry_what_starved(int64_t *last_ms) {
  int64_t now_ms = watch_now_ms();
  if (now_ms - *last_ms < STARVED_RETRY_MS) return;
  *last_ms = now_ms;
  watch_starved = false;
  stranger_retry();
  process_retry();
}

_Noreturn static void run(int signals) {
  struct epoll_event events[EVENTS];
  int64_t last_retry_ms = 0;
  for (;;) {
    // Events first, deadlines after: whoever spoke while the sandbox was frozen is heard before it is turned away.
    int timeout_ms = sooner(stranger_expire(), process_tick());
    if (watch_starved) timeout_ms = sooner(timeout_ms, STARVED_RETRY_MS);
    int count = watch_wait(events, EVENTS, timeout_ms);
    for (int i = 0; i < count; i++) act_on(&events[i], signals);
    if (watch_starved) retry_what_starved(&last_retry_ms);
    session_flush();
  }
}

int main(int argc, char **argv) {
  // PID 1 is always init, whatever its arguments say.
  if (argc > 2 && strcmp(argv[1], FILES_WORD) == 0 && getpid() != 1) files_run(argc - 2, argv + 2);
  uint8_t secret[SECRET_BYTES];
  if (!read_secret(getenv(SECRET_NAME), secret)) give_up(SECRET_NAME " must be 64 hexadecimal digits");
  bool tells_port = getenv(PORT_NAME) != NULL;
  uint16_t port = read_port(getenv(PORT_NAME));
  erase_environment();
  settle_descriptors();
  // Memory that others of the same user may neither read nor trace.
  (void)prctl(PR_SET_DUMPABLE, 0);
  if (getpid() != 1) (void)prctl(PR_SET_CHILD_SUBREAPER, 1);
  spawn_setup();
  int signals = hear_children();
  if (signals < 0 || !watch_open() || !session_setup()) give_up("cannot set up its loop");
  struct watch signal_watch;
  watch_begin(&signal_watch, signals, WATCH_SIGNALS, 0);
  watch_set(&signal_watch, EPOLLIN);
  port = stranger_listen(port, secret);
  if (port == 0) give_up("cannot listen");
  explicit_bzero(secret, sizeof secret);
  if (tells_port) (void)dprintf(STDOUT_FILENO, "%u\n", port);
  run(signals);
}
