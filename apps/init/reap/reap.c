// The subreaper: starts a program so that what it leaves running has a parent that reaps.
//
//   sallyport-reap [--pidfile FILE] -- program [argument]...
//
// Two processes. The front is what the caller waits for: it forwards signals and gives the program's exit status. The
// reaper is the program's parent, in a session of its own; it stays until the last descendant has ended. They talk over
// a socket pair: signal numbers one way, the exit status the other, and each notices the other's death.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define NAME "sallyport-reap"
// Exit statuses of ours, as env and timeout have them.
#define STATUS_OWN_FAILURE 125
#define STATUS_NOT_EXECUTABLE 126
#define STATUS_NOT_FOUND 127

struct options {
  const char *pidfile;
  char **program;
};

static sigset_t original_mask;

_Noreturn static void fail(const char *what) {
  (void)dprintf(STDERR_FILENO, NAME ": %s: %s\n", what, strerror(errno));
  _exit(STATUS_OWN_FAILURE);
}

static struct options read_options(char **argv) {
  struct options options = {0};
  argv += 1;
  if (*argv != NULL && strcmp(*argv, "--pidfile") == 0 && argv[1] != NULL) {
    options.pidfile = argv[1];
    argv += 2;
  }
  if (*argv == NULL || strcmp(*argv, "--") != 0 || argv[1] == NULL) {
    (void)dprintf(STDERR_FILENO, "usage: " NAME " [--pidfile FILE] -- program [argument]...\n");
    _exit(STATUS_OWN_FAILURE);
  }
  options.program = argv + 1;
  return options;
}

// Signals become readable. A signal that the caller ignores (nohup) stays ignored, for the program too.
static int signals_as_descriptor(void) {
  sigset_t mask;
  sigemptyset(&mask);
  sigaddset(&mask, SIGTERM);
  sigaddset(&mask, SIGINT);
  sigaddset(&mask, SIGHUP);
  sigaddset(&mask, SIGCHLD);
  if (sigprocmask(SIG_BLOCK, &mask, &original_mask) != 0) fail("sigprocmask");
  struct sigaction heard = {.sa_handler = SIG_DFL};
  (void)sigaction(SIGCHLD, &heard, NULL);
  int fd = signalfd(-1, &mask, SFD_NONBLOCK | SFD_CLOEXEC);
  if (fd < 0) fail("signalfd");
  return fd;
}

// The next signal that waits, 0: none.
static int next_signal(int signals) {
  struct signalfd_siginfo news;
  return read(signals, &news, sizeof news) == sizeof news ? (int)news.ssi_signo : 0;
}

_Noreturn static void become_program(char **program) {
  // Should the reaper be killed, the program ends in order: nobody could tell its exit status any more.
  (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
  (void)sigprocmask(SIG_SETMASK, &original_mask, NULL);
  (void)execvp(program[0], program);
  int error = errno;
  (void)dprintf(STDERR_FILENO, NAME ": cannot start %s: %s\n", program[0], strerror(error));
  _exit(error == ENOENT ? STATUS_NOT_FOUND : STATUS_NOT_EXECUTABLE);
}

// The reaper keeps nothing of the caller's: its pipes reach their end when the program's copies are closed, its
// directories can be unmounted.
static void let_go(int keep, int keep_too) {
  int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  for (int fd = 0; fd < 3; fd++) {
    if (null < 0 || dup2(null, fd) < 0) (void)close(fd);
  }
  unsigned low = (unsigned)(keep < keep_too ? keep : keep_too), high = (unsigned)(keep < keep_too ? keep_too : keep);
  if (low > 3) (void)close_range(3, low - 1, 0);
  if (high > low + 1) (void)close_range(low + 1, high - 1, 0);
  (void)close_range(high + 1, ~0u, 0);
  (void)!chdir("/");
}

// Descriptors that let_go keeps lie above the standard ones, even for a caller that closed those.
static int above_standard(int fd) {
  if (fd > 2) return fd;
  int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
  if (copy < 0) fail("fcntl");
  (void)close(fd);
  return copy;
}

static int exit_code(int status) { return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status); }

// Takes all children that have ended. False: none is left at all.
static bool reap_all(pid_t *program, int front) {
  for (;;) {
    int status;
    pid_t pid = waitpid(-1, &status, WNOHANG);
    if (pid == 0) return true;
    if (pid < 0) return errno != ECHILD;
    if (pid != *program) continue;
    *program = 0;
    uint8_t code = (uint8_t)exit_code(status);
    (void)send(front, &code, 1, MSG_NOSIGNAL);
  }
}

// Signals only ever come to the program from its parent, which has not reaped it: the pid is no other's.
static void forward(pid_t program, int number) {
  if (program > 0) (void)kill(program, number);
}

// What the front says: signals to forward. False: the front is gone.
static bool hear_front(int front, pid_t program) {
  for (;;) {
    uint8_t number;
    ssize_t got = recv(front, &number, 1, MSG_DONTWAIT);
    if (got == 1) {
      forward(program, number);
    } else if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
      return true;
    } else {
      return false;
    }
  }
}

_Noreturn static void run_reaper(const struct options *options, int pidfile, int front, int signals) {
  (void)setsid();
  (void)prctl(PR_SET_NAME, NAME);
  if (prctl(PR_SET_CHILD_SUBREAPER, 1) != 0) fail("prctl");
  if (pidfile >= 0 && dprintf(pidfile, "%d\n", getpid()) < 0) fail(options->pidfile);
  pid_t program = fork();
  if (program < 0) fail("fork");
  if (program == 0) become_program(options->program);
  let_go(front, signals);
  struct pollfd waits[2] = {{.fd = signals, .events = POLLIN}, {.fd = front, .events = POLLIN}};
  bool some_left = true;
  while (some_left || program > 0) {
    (void)poll(waits, 2, -1);
    for (int number; (number = next_signal(signals)) != 0;) {
      if (number != SIGCHLD) forward(program, number);
    }
    if (waits[1].fd >= 0 && !hear_front(front, program)) {
      waits[1].fd = -1;
      forward(program, SIGTERM);
    }
    some_left = reap_all(&program, front);
  }
  _exit(0);
}

// Waits for the exit status and passes signals on.
_Noreturn static void run_front(int reaper, int signals) {
  struct pollfd waits[2] = {{.fd = signals, .events = POLLIN}, {.fd = reaper, .events = POLLIN}};
  for (;;) {
    (void)poll(waits, 2, -1);
    for (int number; (number = next_signal(signals)) != 0;) {
      uint8_t byte = (uint8_t)number;
      if (number != SIGCHLD) (void)send(reaper, &byte, 1, MSG_NOSIGNAL);
    }
    uint8_t code;
    ssize_t got = recv(reaper, &code, 1, MSG_DONTWAIT);
    if (got == 1) _exit(code);
    if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
      errno = ECHILD;
      fail("the reaper ended before the program");
    }
  }
}

int main(int argc, char **argv) {
  (void)argc;
  struct options options = read_options(argv);
  int pidfile = -1;
  if (options.pidfile != NULL) {
    pidfile = open(options.pidfile, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (pidfile < 0) fail(options.pidfile);
  }
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) fail("socketpair");
  ends[0] = above_standard(ends[0]);
  ends[1] = above_standard(ends[1]);
  int signals = above_standard(signals_as_descriptor());
  pid_t reaper = fork();
  if (reaper < 0) fail("fork");
  if (reaper == 0) {
    (void)close(ends[0]);
    run_reaper(&options, pidfile, ends[1], signals);
  }
  (void)close(ends[1]);
  run_front(ends[0], signals);
}
