// Big-endian fields in and out of byte buffers.
#include "frame.h"

#include <string.h>

#include "protocol.h"

uint8_t *read_bytes(struct reader *reader, size_t length) {
  if (reader->broken || (size_t)(reader->end - reader->at) < length) {
    reader->broken = true;
    return NULL;
  }
  uint8_t *bytes = reader->at;
  reader->at += length;
  return bytes;
}

static uint64_t read_number(struct reader *reader, size_t length) {
  const uint8_t *bytes = read_bytes(reader, length);
  uint64_t value = 0;
  for (size_t i = 0; bytes != NULL && i < length; i++) value = value << 8 | bytes[i];
  return value;
}

uint8_t read_u8(struct reader *reader) { return (uint8_t)read_number(reader, 1); }
uint16_t read_u16(struct reader *reader) { return (uint16_t)read_number(reader, 2); }
uint32_t read_u32(struct reader *reader) { return (uint32_t)read_number(reader, 4); }
uint64_t read_u64(struct reader *reader) { return read_number(reader, 8); }

uint8_t *read_string(struct reader *reader, size_t *length) {
  *length = read_u32(reader);
  uint8_t *bytes = read_bytes(reader, *length);
  if (bytes != NULL && memchr(bytes, 0, *length) != NULL) reader->broken = true;
  return reader->broken ? NULL : bytes;
}

bool read_all(const struct reader *reader) { return !reader->broken && reader->at == reader->end; }

size_t outbox_pending(const struct outbox *outbox) { return outbox->length - outbox->sent; }

bool outbox_has_room(struct outbox *outbox, size_t length) {
  if (outbox->capacity - outbox->length >= length) return true;
  size_t pending = outbox_pending(outbox);
  memmove(outbox->bytes, outbox->bytes + outbox->sent, pending);
  outbox->sent = 0;
  outbox->length = pending;
  return outbox->capacity - pending >= length;
}

uint8_t *put_space(struct outbox *outbox, size_t length) {
  uint8_t *space = outbox->bytes + outbox->length;
  outbox->length += length;
  return space;
}

void put_bytes(struct outbox *outbox, const void *bytes, size_t length) {
  memcpy(put_space(outbox, length), bytes, length);
}

static void put_number(struct outbox *outbox, uint64_t value, size_t length) {
  uint8_t *space = put_space(outbox, length);
  for (size_t i = 0; i < length; i++) space[i] = (uint8_t)(value >> (8 * (length - 1 - i)));
}

void put_u8(struct outbox *outbox, uint8_t value) { put_number(outbox, value, 1); }
void put_u16(struct outbox *outbox, uint16_t value) { put_number(outbox, value, 2); }
void put_u32(struct outbox *outbox, uint32_t value) { put_number(outbox, value, 4); }
void put_u64(struct outbox *outbox, uint64_t value) { put_number(outbox, value, 8); }

void put_header(struct outbox *outbox, uint8_t type, size_t payload_length) {
  put_number(outbox, payload_length, HEADER_BYTES - 1);
  put_u8(outbox, type);
}
