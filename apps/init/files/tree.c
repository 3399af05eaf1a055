// Directories: made, and removed with everything below. No link is followed on the way down, and no depth costs more
// than memory: a bounded number of directories is held open, the others are found again through "..".
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "answer.h"
#include "operations.h"

static bool is_directory(const char *path) {
  struct stat status;
  return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

static void make_parents(char *path) {
  for (char *at = path + 1; *at != '\0'; at++) {
    if (*at != '/' || at[-1] == '/') continue;
    *at = '\0';
    int failed = mkdir(path, 0777) == 0 ? 0 : errno;
    if (failed != 0 && !is_directory(path)) answer_failure(FAILED_SYSTEM, failed == EEXIST ? ENOTDIR : failed);
    *at = '/';
  }
}

_Noreturn void files_make_directory(const char *given, bool parents) {
  char path[PATH_MAX];
  size_t length = strlen(given);
  if (length == 0) answer_failure(FAILED_SYSTEM, ENOENT);
  if (length >= sizeof path) answer_failure(FAILED_SYSTEM, ENAMETOOLONG);
  memcpy(path, given, length + 1);
  while (length > 1 && path[length - 1] == '/') path[--length] = '\0';
  if (parents) make_parents(path);
  if (mkdir(path, 0777) != 0) {
    int failed = errno;
    if (!parents || !is_directory(path)) answer_failure(FAILED_SYSTEM, failed);
  }
  answer_end(0);
}

// A directory on the way down. The first one is the parent of what is removed.
struct level {
  DIR *directory;  // NULL while it is not held open
  dev_t device;
  ino_t inode;
  unsigned rounds;
  char name[NAME_MAX + 1];
};

static struct level *levels;
static size_t depth, capacity;

static bool enter(int fd, const char *name) {
  if (fd < 0) return false;
  if (depth == capacity) {
    capacity = capacity == 0 ? 64 : capacity * 2;
    struct level *bigger = realloc(levels, capacity * sizeof *levels);
    if (bigger == NULL) answer_failure(FAILED_SYSTEM, ENOMEM);
    levels = bigger;
  }
  struct stat status;
  DIR *directory = fdopendir(fd);
  if (directory == NULL || fstat(fd, &status) != 0) answer_failure(FAILED_SYSTEM, errno);
  struct level *level = &levels[depth];
  *level = (struct level){.directory = directory, .device = status.st_dev, .inode = status.st_ino};
  memcpy(level->name, name, strnlen(name, NAME_MAX));
  if (depth >= MAX_OPEN_DIRECTORIES) {
    struct level *oldest = &levels[depth - MAX_OPEN_DIRECTORIES];
    if (oldest->directory != NULL) (void)closedir(oldest->directory);
    oldest->directory = NULL;
  }
  depth++;
  return true;
}

static int open_below(int fd, const char *name) {
  return openat(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

// Removes a name, or enters it when it is a directory. Whether it was entered.
static bool remove_or_enter(int fd, const char *name) {
  if (unlinkat(fd, name, 0) == 0 || errno == ENOENT) return false;
  int failed = errno;
  if (failed != EISDIR && failed != EPERM) answer_failure(FAILED_SYSTEM, failed);
  int below = open_below(fd, name);
  if (below < 0 && errno == ENOENT) return false;
  // Not permitted, and no directory either: the first answer was meant.
  if (below < 0) answer_failure(FAILED_SYSTEM, errno == ENOTDIR || errno == ELOOP ? failed : errno);
  return enter(below, name);
}

// The directory above the last one, opened again if it has to be: the very one that was left.
static void reopen_above(void) {
  struct level *above = &levels[depth - 2];
  if (above->directory != NULL) return;
  int fd = openat(dirfd(levels[depth - 1].directory), "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  struct stat status;
  if (fd < 0 || fstat(fd, &status) != 0) answer_failure(FAILED_SYSTEM, errno);
  if (status.st_dev != above->device || status.st_ino != above->inode) answer_failure(FAILED_SYSTEM, EBUSY);
  above->directory = fdopendir(fd);
  if (above->directory == NULL) answer_failure(FAILED_SYSTEM, errno);
}

// The last directory was seen to its end: removes it, or goes through it once more if others have filled it.
static void leave(void) {
  struct level *last = &levels[depth - 1];
  reopen_above();
  if (unlinkat(dirfd(levels[depth - 2].directory), last->name, AT_REMOVEDIR) == 0 || errno == ENOENT) {
    (void)closedir(last->directory);
    depth--;
  } else if ((errno == ENOTEMPTY || errno == EEXIST) && ++last->rounds < MAX_REMOVE_ROUNDS) {
    rewinddir(last->directory);
  } else {
    answer_failure(FAILED_SYSTEM, errno);
  }
}

_Noreturn static void remove_tree(int parent, const char *name) {
  if (!enter(parent, "") || !remove_or_enter(parent, name)) answer_end(0);
  while (depth > 1) {
    DIR *directory = levels[depth - 1].directory;
    errno = 0;
    struct dirent *entry = readdir(directory);
    if (entry == NULL && errno != 0) answer_failure(FAILED_SYSTEM, errno);
    if (entry == NULL) {
      leave();
    } else if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
      (void)remove_or_enter(dirfd(directory), entry->d_name);
    }
  }
  answer_end(0);
}

_Noreturn void files_remove(const char *given, bool recursive) {
  char path[PATH_MAX];
  size_t length = strlen(given);
  if (length >= sizeof path) answer_failure(FAILED_SYSTEM, ENAMETOOLONG);
  memcpy(path, given, length + 1);
  while (length > 0 && path[length - 1] == '/') path[--length] = '\0';
  char *slash = strrchr(path, '/');
  char *name = slash == NULL ? path : slash + 1;
  // The root, and what has no name of its own.
  if (*name == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0) answer_failure(FAILED_SYSTEM, EINVAL);
  if (strlen(name) > NAME_MAX) answer_failure(FAILED_SYSTEM, ENAMETOOLONG);
  if (slash != NULL) *slash = '\0';
  const char *parent = slash == NULL ? "." : slash == path ? "/" : path;
  int fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  struct stat status;
  if (fd < 0 || fstatat(fd, name, &status, AT_SYMLINK_NOFOLLOW) != 0) answer_failure(FAILED_SYSTEM, errno);
  if (S_ISDIR(status.st_mode) && recursive) remove_tree(fd, name);
  if (unlinkat(fd, name, S_ISDIR(status.st_mode) ? AT_REMOVEDIR : 0) != 0) answer_failure(FAILED_SYSTEM, errno);
  answer_end(0);
}
