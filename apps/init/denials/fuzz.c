// For tests alone: what the log's parser makes of bytes that no kernel sent. Messages on stdin, each after its length
// (u32, big-endian); records on stdout, the interface's number for its name.
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "parse.h"

static void on_denial(const struct denial *denial, void *context) {
  (void)context;
  char name[LINK_BYTES + 1] = {0};
  (void)snprintf(name, sizeof name, "%u", denial->link);
  uint8_t record[RECORD_BYTES];
  write_record(denial, name, record);
  (void)fwrite(record, 1, sizeof record, stdout);
}

int main(void) {
  uint32_t head;
  while (fread(&head, sizeof head, 1, stdin) == 1) {
    size_t length = ntohl(head);
    // Exactly as long as the message: a read beyond its end is a read beyond the block.
    uint8_t *bytes = malloc(length == 0 ? 1 : length);
    if (bytes == NULL || fread(bytes, 1, length, stdin) != length) return 1;
    parse_messages(bytes, length, on_denial, NULL);
    free(bytes);
  }
  return 0;
}
