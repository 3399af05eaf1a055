// From arguments to an operation.
#include "files.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "answer.h"
#include "operations.h"

#define TO_THE_END "-"

_Noreturn static void misuse(void) {
  static const char text[] = "sallyport-init: files OPERATION PATH [ARGUMENT]...\n";
  (void)!write(STDERR_FILENO, text, sizeof text - 1);
  _exit(2);
}

static uint64_t number(const char *text, int base) {
  char *end;
  errno = 0;
  uint64_t value = strtoumax(text, &end, base);
  if (*text < '0' || *text > '9' || *end != '\0' || errno != 0) misuse();
  return value;
}

static bool flag(const char *text) {
  if (strcmp(text, "0") != 0 && strcmp(text, "1") != 0) misuse();
  return *text == '1';
}

_Noreturn void files_run(int argc, char **argv) {
  if (argc < 2) misuse();
  const char *operation = argv[0], *path = argv[1];
  // A mode is meant as it is told.
  (void)umask(022);
  if (argc == 2 && strcmp(operation, "stat") == 0) files_stat(path);
  if (argc == 2 && strcmp(operation, "list") == 0) files_list(path);
  if (argc == 4 && strcmp(operation, "read") == 0) {
    uint64_t length = strcmp(argv[3], TO_THE_END) == 0 ? INT64_MAX : number(argv[3], 10);
    files_read(path, number(argv[2], 10), length);
  }
  if (argc == 3 && strcmp(operation, "write") == 0) files_write(path, (mode_t)(number(argv[2], 8) & 07777));
  if (argc == 3 && strcmp(operation, "mkdir") == 0) files_make_directory(path, flag(argv[2]));
  if (argc == 3 && strcmp(operation, "remove") == 0) files_remove(path, flag(argv[2]));
  misuse();
}
