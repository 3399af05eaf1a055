// What only looks: stat, list and read.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "answer.h"
#include "operations.h"

_Noreturn void files_stat(const char *path) {
  struct stat status;
  if (lstat(path, &status) != 0) answer_failure(FAILED_SYSTEM, errno);
  answer_info(&status, "");
  answer_end(1);
}

// Names behind each other, and where each begins.
static char *names;
static size_t names_length, names_capacity;
static size_t *starts;
static size_t count, starts_capacity;

static void *grown(void *memory, size_t *capacity, size_t item) {
  *capacity = *capacity == 0 ? 4096 : *capacity * 2;
  void *bigger = realloc(memory, *capacity * item);
  if (bigger == NULL) answer_failure(FAILED_SYSTEM, ENOMEM);
  return bigger;
}

static void remember(const char *name) {
  if (count == MAX_LISTED_ENTRIES) answer_failure(FAILED_TOO_MANY, 0);
  size_t length = strlen(name) + 1;
  while (names_capacity - names_length < length) names = grown(names, &names_capacity, 1);
  if (count == starts_capacity) starts = grown(starts, &starts_capacity, sizeof *starts);
  memcpy(names + names_length, name, length);
  starts[count++] = names_length;
  names_length += length;
}

static int by_name(const void *left, const void *right) {
  return strcmp(names + *(const size_t *)left, names + *(const size_t *)right);
}

_Noreturn void files_list(const char *path) {
  int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *directory = fd < 0 ? NULL : fdopendir(fd);
  if (directory == NULL) answer_failure(FAILED_SYSTEM, errno);
  struct dirent *entry;
  while ((errno = 0, entry = readdir(directory)) != NULL) {
    if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) remember(entry->d_name);
  }
  if (errno != 0) answer_failure(FAILED_SYSTEM, errno);
  if (count > 0) qsort(starts, count, sizeof *starts, by_name);
  uint64_t told = 0;
  for (size_t i = 0; i < count; i++) {
    struct stat status;
    // Gone meanwhile.
    if (fstatat(fd, names + starts[i], &status, AT_SYMLINK_NOFOLLOW) != 0) continue;
    answer_info(&status, names + starts[i]);
    told++;
  }
  answer_end(told);
}

// Looked at before it is opened: opening a pipe or a device may have effects of its own.
static int open_regular(const char *path, struct stat *status) {
  if (stat(path, status) != 0) answer_failure(FAILED_SYSTEM, errno);
  if (S_ISDIR(status->st_mode)) answer_failure(FAILED_SYSTEM, EISDIR);
  if (!S_ISREG(status->st_mode)) answer_failure(FAILED_TYPE, 0);
  int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  if (fd < 0 || fstat(fd, status) != 0) answer_failure(FAILED_SYSTEM, errno);
  if (!S_ISREG(status->st_mode)) answer_failure(FAILED_TYPE, 0);
  return fd;
}

_Noreturn void files_read(const char *path, uint64_t offset, uint64_t length) {
  static uint8_t record[RECORD_HEADER_BYTES + PIECE_BYTES];
  struct stat status;
  int fd = open_regular(path, &status);
  answer_info(&status, "");
  if (offset > INT64_MAX) offset = INT64_MAX;
  if (length > INT64_MAX - offset) length = INT64_MAX - offset;
  while (length > 0) {
    size_t wanted = length < PIECE_BYTES ? (size_t)length : PIECE_BYTES;
    ssize_t got = pread(fd, record + RECORD_HEADER_BYTES, wanted, (off_t)offset);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) answer_failure(FAILED_SYSTEM, errno);
    if (got == 0) break;
    answer_data(record, (size_t)got);
    offset += (uint64_t)got;
    length -= (uint64_t)got;
  }
  answer_end(offset);
}
