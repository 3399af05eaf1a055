// Records on stdout: what was found, what was read, and how it ended.
#ifndef SALLYPORT_ANSWER_H
#define SALLYPORT_ANSWER_H

#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#define RECORD_HEADER_BYTES 5

enum record { RECORD_INFO = 0x01, RECORD_DATA = 0x02, RECORD_END = 0x03, RECORD_ERROR = 0x04 };
enum file_type { TYPE_FILE = 1, TYPE_DIRECTORY = 2, TYPE_SYMLINK = 3, TYPE_OTHER = 4 };
enum failure {
  FAILED_SYSTEM = 0,    // errno says why
  FAILED_TYPE = 1,      // no regular file
  FAILED_INPUT = 2,     // stdin ended before the file did, or is out of shape
  FAILED_TOO_MANY = 3,  // more entries than MAX_LISTED_ENTRIES
};

// Of a file of this name; the name may be empty.
void answer_info(const struct stat *status, const char *name);
// File bytes, with RECORD_HEADER_BYTES of room in front of them.
void answer_data(uint8_t *record, size_t length);
// The last record: all went well.
_Noreturn void answer_end(uint64_t number);
// The last record: it failed.
_Noreturn void answer_failure(enum failure failure, int error);

#endif
