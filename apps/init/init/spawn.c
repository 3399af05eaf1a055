// Starting a process. The child tells a failure through a pipe that exec closes, so a started process is one whose
// program runs.
#include "spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// Both ends of everything that a start makes; -1 where there is none.
struct plumbing {
  int child[3];  // stdin, stdout, stderr of the child
  struct spawned ours;
  int terminal;  // the child's end of its terminal
  int report[2];
};

struct report {
  uint8_t stage;
  int error;
};

static struct rlimit original_descriptors = {RLIM_INFINITY, RLIM_INFINITY};
static rlim_t descriptor_limit = RESERVED_DESCRIPTORS * 2;

// What would end init is ignored.
static const int ignored[] = {SIGHUP,  SIGINT,  SIGQUIT, SIGPIPE, SIGTERM, SIGUSR1,
                              SIGUSR2, SIGALRM, SIGTSTP, SIGTTIN, SIGTTOU};

static void handle(int number, void (*how)(int)) {
  struct sigaction action = {.sa_handler = how};
  // KILL, STOP and the C library's own refuse, which is right.
  (void)sigaction(number, &action, NULL);
}

void spawn_setup(void) {
  // Whatever was inherited as ignored would be so in children too; SIGCHLD would take exit statuses away.
  for (int number = 1; number <= SIGRTMAX; number++) handle(number, SIG_DFL);
  for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++) handle(ignored[i], SIG_IGN);
  if (getrlimit(RLIMIT_NOFILE, &original_descriptors) != 0) return;
  struct rlimit raised = {original_descriptors.rlim_max, original_descriptors.rlim_max};
  descriptor_limit = setrlimit(RLIMIT_NOFILE, &raised) == 0 ? raised.rlim_cur : original_descriptors.rlim_cur;
}

static void close_one(int *fd) {
  if (*fd >= 0) (void)close(*fd);
  *fd = -1;
}

static void close_child_ends(struct plumbing *plumbing) {
  for (int i = 0; i < 3; i++) close_one(&plumbing->child[i]);
  close_one(&plumbing->terminal);
  close_one(&plumbing->report[1]);
}

static void close_all(struct plumbing *plumbing) {
  close_child_ends(plumbing);
  close_one(&plumbing->report[0]);
  close_one(&plumbing->ours.in);
  close_one(&plumbing->ours.out);
  close_one(&plumbing->ours.err);
}

static bool non_blocking(int fd) {
  int flags = fcntl(fd, F_GETFL);
  return flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0;
}

// A pipe whose end on our side does not block. The child's end does: programs expect that.
static bool make_pipe(int *ours, int *theirs, bool child_reads) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return false;
  *ours = ends[child_reads ? 1 : 0];
  *theirs = ends[child_reads ? 0 : 1];
  return non_blocking(*ours);
}

static int copy_of(int fd) { return fcntl(fd, F_DUPFD_CLOEXEC, 3); }

static bool make_terminal(const struct command *command, struct plumbing *plumbing) {
  int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
  plumbing->ours.out = master;
  char name[64];
  if (master < 0 || grantpt(master) != 0 || unlockpt(master) != 0) return false;
  int failed = ptsname_r(master, name, sizeof name);
  if (failed != 0) {
    errno = failed;
    return false;
  }
  plumbing->terminal = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (plumbing->terminal < 0 || !non_blocking(master)) return false;
  struct winsize size = {.ws_col = command->columns, .ws_row = command->rows};
  if (ioctl(master, TIOCSWINSZ, &size) != 0) return false;
  plumbing->child[1] = copy_of(plumbing->terminal);
  plumbing->child[2] = copy_of(plumbing->terminal);
  if (plumbing->child[1] < 0 || plumbing->child[2] < 0) return false;
  if (!command->stdin_open) return true;
  plumbing->child[0] = copy_of(plumbing->terminal);
  plumbing->ours.in = copy_of(master);
  return plumbing->child[0] >= 0 && plumbing->ours.in >= 0;
}

static bool make_plumbing(const struct command *command, struct plumbing *plumbing) {
  *plumbing = (struct plumbing){.child = {-1, -1, -1}, .ours = {0, -1, -1, -1}, .terminal = -1, .report = {-1, -1}};
  if (pipe2(plumbing->report, O_CLOEXEC) != 0) return false;
  if (command->pty) {
    if (!make_terminal(command, plumbing)) return false;
  } else {
    if (!make_pipe(&plumbing->ours.out, &plumbing->child[1], false)) return false;
    if (!make_pipe(&plumbing->ours.err, &plumbing->child[2], false)) return false;
    if (command->stdin_open && !make_pipe(&plumbing->ours.in, &plumbing->child[0], true)) return false;
  }
  if (!command->stdin_open) plumbing->child[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (plumbing->child[0] < 0) return false;
  // Descriptors are given out from the lowest on: a probe above the mark says that only the reserve is left.
  int probe = copy_of(plumbing->child[0]);
  bool roomy = probe >= 0 && (rlim_t)probe + RESERVED_DESCRIPTORS < descriptor_limit;
  close_one(&probe);
  if (!roomy) errno = EMFILE;
  return roomy;
}

// The search of execvp, over the child's own PATH.
static void exec_in_path(const struct command *command) {
  const char *name = command->argv[0];
  if (strchr(name, '/') != NULL || *name == '\0') {
    (void)execve(name, command->argv, command->envp);
    return;
  }
  const char *path = DEFAULT_PATH;
  for (char **entry = command->envp; *entry != NULL; entry++) {
    if (strncmp(*entry, "PATH=", 5) == 0) path = *entry + 5;
  }
  int failure = ENOENT;
  for (;;) {
    int length = (int)strcspn(path, ":");
    char file[PATH_MAX];
    // An empty entry means the working directory.
    int written = snprintf(file, sizeof file, "%.*s%s%s", length, path, length == 0 ? "" : "/", name);
    if (written > 0 && (size_t)written < sizeof file) {
      // Looked for first: in gVisor an exec that fails takes half a millisecond, a look a tenth of that.
      struct stat found;
      if (stat(file, &found) == 0) (void)execve(file, command->argv, command->envp);
      if (errno == EACCES) failure = EACCES;
      if (errno != EACCES && errno != ENOENT && errno != ENOTDIR) return;
    }
    if (path[length] == '\0') break;
    path += length + 1;
  }
  errno = failure;
}

static void default_signals(void) {
  for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++) handle(ignored[i], SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

static enum start_stage become(const struct command *command, struct plumbing *plumbing) {
  default_signals();
  (void)umask(022);
  if (setsid() < 0) return STAGE_FORK;
  if (command->pty && ioctl(plumbing->terminal, TIOCSCTTY, 0) != 0) return STAGE_PIPE;
  for (int i = 0; i < 3; i++) {
    if (dup2(plumbing->child[i], i) != i) return STAGE_PIPE;
  }
  if (chdir(command->cwd) != 0) return STAGE_CWD;
  (void)setrlimit(RLIMIT_NOFILE, &original_descriptors);
  exec_in_path(command);
  return STAGE_EXEC;
}

// Never returns to the frame that it shares with its parent.
_Noreturn static void run_child(const struct command *command, struct plumbing *plumbing) {
  enum start_stage stage = become(command, plumbing);
  struct report report = {.stage = (uint8_t)stage, .error = errno};
  (void)!write(plumbing->report[1], &report, sizeof report);
  _exit(127);
}

enum start_stage spawn(const struct command *command, struct spawned *spawned, int *error) {
  struct plumbing plumbing;
  if (!make_plumbing(command, &plumbing)) {
    *error = errno;
    close_all(&plumbing);
    return STAGE_PIPE;
  }
  // Not fork: gVisor takes five times as long for a copy of our memory, which exec throws away at once. Until then the
  // child runs in our memory while we wait, so it changes nothing there but its own locals and errno.
  pid_t pid = vfork();
  if (pid < 0) {
    *error = errno;
    close_all(&plumbing);
    return STAGE_FORK;
  }
  if (pid == 0) run_child(command, &plumbing);
  close_child_ends(&plumbing);
  struct report report = {0};
  ssize_t got = read(plumbing.report[0], &report, sizeof report);
  if (got == sizeof report) {
    (void)waitpid(pid, NULL, 0);
    close_all(&plumbing);
    *error = report.error;
    return (enum start_stage)report.stage;
  }
  close_one(&plumbing.report[0]);
  *spawned = plumbing.ours;
  spawned->pid = pid;
  return STAGE_NONE;
}
