// Writing a file: under a temporary name beside its own until stdin has said that it is whole.
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "answer.h"
#include "operations.h"

enum input_record { INPUT_DATA = 0x01, INPUT_END = 0x02 };

// Where the file goes: its directory and its name there, behind all links.
struct target {
  int directory;
  char name[NAME_MAX + 1];
  bool exists;
  struct stat old;
};

static struct target target = {.directory = -1};
static char temporary[sizeof ".sallyport-" + 16];
static volatile sig_atomic_t has_temporary;

static void discard(void) {
  if (has_temporary) (void)unlinkat(target.directory, temporary, 0);
  has_temporary = 0;
}

_Noreturn static void fail(enum failure failure, int error) {
  discard();
  answer_failure(failure, error);
}

// Asked to stop, or nobody is left to be told.
static void stop(int signal) {
  (void)signal;
  discard();
  _exit(1);
}

// One step: opens the directory of a path and looks at its last name there.
static void approach(char *path) {
  char *slash = strrchr(path, '/');
  const char *name = slash == NULL ? path : slash + 1;
  if (*path == '\0') fail(FAILED_SYSTEM, ENOENT);
  if (*name == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0) fail(FAILED_SYSTEM, EISDIR);
  if (strlen(name) > NAME_MAX) fail(FAILED_SYSTEM, ENAMETOOLONG);
  memcpy(target.name, name, strlen(name) + 1);
  const char *parent = slash == NULL ? "." : slash == path ? "/" : path;
  if (slash != NULL && slash != path) *slash = '\0';
  int from = target.directory;
  target.directory = openat(from < 0 ? AT_FDCWD : from, parent, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (target.directory < 0) fail(FAILED_SYSTEM, errno);
  if (from >= 0) (void)close(from);
  target.exists = fstatat(target.directory, target.name, &target.old, AT_SYMLINK_NOFOLLOW) == 0;
  if (!target.exists && errno != ENOENT) fail(FAILED_SYSTEM, errno);
}

// A link at the end is followed, so that what it points to is replaced, and not the link.
static void find_target(const char *given) {
  char path[PATH_MAX];
  if (strlen(given) >= sizeof path) fail(FAILED_SYSTEM, ENAMETOOLONG);
  memcpy(path, given, strlen(given) + 1);
  for (int links = 0; links <= MAX_LINKS; links++) {
    approach(path);
    if (!target.exists) return;
    if (S_ISDIR(target.old.st_mode)) fail(FAILED_SYSTEM, EISDIR);
    if (S_ISREG(target.old.st_mode)) return;
    if (!S_ISLNK(target.old.st_mode)) fail(FAILED_TYPE, 0);
    ssize_t length = readlinkat(target.directory, target.name, path, sizeof path - 1);
    if (length < 0) fail(FAILED_SYSTEM, errno);
    path[length] = '\0';
  }
  fail(FAILED_SYSTEM, ELOOP);
}

static int make_temporary(void) {
  uint64_t random;
  if (getrandom(&random, sizeof random, 0) != sizeof random) fail(FAILED_SYSTEM, errno);
  (void)snprintf(temporary, sizeof temporary, ".sallyport-%016llx", (unsigned long long)random);
  // Known before it is there, so that no signal comes too early for it.
  has_temporary = 1;
  int fd = openat(target.directory, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0) fail(FAILED_SYSTEM, errno);
  return fd;
}

static uint8_t input[PIECE_BYTES];
static size_t input_at, input_length;

// Makes sure of a byte at the least.
static void fill(void) {
  while (input_at == input_length) {
    ssize_t got = read(STDIN_FILENO, input, sizeof input);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) fail(FAILED_INPUT, got < 0 ? errno : 0);
    input_at = 0;
    input_length = (size_t)got;
  }
}

static uint64_t next_number(size_t length) {
  uint64_t value = 0;
  for (size_t i = 0; i < length; i++) {
    fill();
    value = value << 8 | input[input_at++];
  }
  return value;
}

static void copy_data(int fd, uint64_t length) {
  while (length > 0) {
    fill();
    size_t held = input_length - input_at;
    ssize_t put = write(fd, input + input_at, held < length ? held : (size_t)length);
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) fail(FAILED_SYSTEM, put < 0 ? errno : EIO);
    input_at += (size_t)put;
    length -= (uint64_t)put;
  }
}

static uint64_t copy_file(int fd) {
  uint64_t total = 0;
  for (;;) {
    uint64_t type = next_number(1), length = next_number(4);
    if (type == INPUT_DATA) {
      copy_data(fd, length);
      total += length;
    } else if (type == INPUT_END && length == 8 && next_number(8) == total) {
      return total;
    } else {
      fail(FAILED_INPUT, 0);
    }
  }
}

// The new file takes over what the old one was beside its bytes.
static void take_over(int fd, mode_t mode) {
  if (target.exists) {
    mode = target.old.st_mode & 07777;
    // Where the owner cannot be kept, neither are bits that would make the file run as another.
    if (fchown(fd, target.old.st_uid, target.old.st_gid) != 0) mode &= 0777;
  }
  if (fchmod(fd, mode) != 0) fail(FAILED_SYSTEM, errno);
}

_Noreturn void files_write(const char *path, mode_t mode) {
  static const int stops[] = {SIGTERM, SIGINT, SIGHUP, SIGPIPE};
  struct sigaction action = {.sa_handler = stop};
  for (size_t i = 0; i < sizeof stops / sizeof *stops; i++) (void)sigaction(stops[i], &action, NULL);
  find_target(path);
  if (target.exists && faccessat(target.directory, target.name, W_OK, 0) != 0) fail(FAILED_SYSTEM, errno);
  int fd = make_temporary();
  uint64_t total = copy_file(fd);
  take_over(fd, mode);
  if (close(fd) != 0) fail(FAILED_SYSTEM, errno);
  if (renameat(target.directory, temporary, target.directory, target.name) != 0) fail(FAILED_SYSTEM, errno);
  has_temporary = 0;
  answer_end(total);
}
