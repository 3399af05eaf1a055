// Writing the records: small ones are gathered, file bytes go out as they are.
#include "answer.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define GATHERED_BYTES (64 * 1024)
#define MAX_NAME_BYTES 255
#define INFO_BYTES (1 + 4 + 8 + 8 + 4 + 2)

static uint8_t gathered[GATHERED_BYTES];
static size_t gathered_length;

static void write_all(const uint8_t *bytes, size_t length) {
  while (length > 0) {
    ssize_t put = write(STDOUT_FILENO, bytes, length);
    if (put < 0 && errno == EINTR) continue;
    // Nobody is there to be told.
    if (put <= 0) _exit(1);
    bytes += put;
    length -= (size_t)put;
  }
}

static void flush(void) {
  write_all(gathered, gathered_length);
  gathered_length = 0;
}

static void put_number(uint64_t value, size_t length) {
  for (size_t i = 0; i < length; i++) gathered[gathered_length + i] = (uint8_t)(value >> (8 * (length - 1 - i)));
  gathered_length += length;
}

static void put_header(enum record type, size_t payload) {
  if (GATHERED_BYTES - gathered_length < RECORD_HEADER_BYTES + payload) flush();
  put_number((uint64_t)type, 1);
  put_number(payload, 4);
}

static enum file_type type_of(mode_t mode) {
  if (S_ISREG(mode)) return TYPE_FILE;
  if (S_ISDIR(mode)) return TYPE_DIRECTORY;
  return S_ISLNK(mode) ? TYPE_SYMLINK : TYPE_OTHER;
}

void answer_info(const struct stat *status, const char *name) {
  size_t length = strnlen(name, MAX_NAME_BYTES);
  put_header(RECORD_INFO, INFO_BYTES + length);
  put_number((uint64_t)type_of(status->st_mode), 1);
  put_number(status->st_mode & 07777, 4);
  put_number((uint64_t)status->st_size, 8);
  put_number((uint64_t)status->st_mtim.tv_sec, 8);
  put_number((uint64_t)status->st_mtim.tv_nsec, 4);
  put_number(length, 2);
  memcpy(gathered + gathered_length, name, length);
  gathered_length += length;
}

void answer_data(uint8_t *record, size_t length) {
  flush();
  record[0] = RECORD_DATA;
  for (size_t i = 0; i < 4; i++) record[1 + i] = (uint8_t)(length >> (8 * (3 - i)));
  write_all(record, RECORD_HEADER_BYTES + length);
}

_Noreturn void answer_end(uint64_t number) {
  put_header(RECORD_END, 8);
  put_number(number, 8);
  flush();
  _exit(0);
}

_Noreturn void answer_failure(enum failure failure, int error) {
  put_header(RECORD_ERROR, 5);
  put_number((uint64_t)failure, 1);
  put_number((uint64_t)(uint32_t)error, 4);
  flush();
  _exit(1);
}
