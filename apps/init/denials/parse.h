// What the kernel logs about a denied packet, read for the few fields that matter. The packet is a tenant's: every byte
// of it is taken for hostile.
#ifndef DENIALS_PARSE_H
#define DENIALS_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LINK_BYTES 16
#define WORD_BYTES 24
#define RECORD_BYTES 80

struct denial {
  uint32_t link;  // Number of the interface that the packet came in by.
  char word[WORD_BYTES];  // The rule's, cut short and filled up with NUL.
  uint8_t family;  // 4 or 6.
  uint8_t protocol;
  bool has_port, has_type;
  uint16_t port;  // Of the destination.
  uint8_t type;  // Of ICMP.
  uint8_t source[16], destination[16];  // Of IPv4 the first four bytes.
};

// Calls back for each logged packet in what was received, in order; what is no log, or no packet, is left out.
void parse_messages(const uint8_t *bytes, size_t length, void (*found)(const struct denial *, void *), void *context);

// The record that goes out. The name is LINK_BYTES long, filled up with NUL.
void write_record(const struct denial *denial, const char *link_name, uint8_t record[RECORD_BYTES]);

#endif
