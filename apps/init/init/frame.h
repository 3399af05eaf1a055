// Reading and writing of frames' bytes: bounds are checked here and nowhere else.
#ifndef SALLYPORT_FRAME_H
#define SALLYPORT_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Reads fields in order. A read beyond the end gives zeros and marks the reader as broken, for good.
struct reader {
  uint8_t *at;
  uint8_t *end;
  bool broken;
};

uint8_t read_u8(struct reader *reader);
uint16_t read_u16(struct reader *reader);
uint32_t read_u32(struct reader *reader);
uint64_t read_u64(struct reader *reader);
// The next bytes in place; NULL beyond the end.
uint8_t *read_bytes(struct reader *reader, size_t length);
// A string in place: u32 length, then bytes without NUL. The byte behind it is the caller's to overwrite, once all
// fields are read.
uint8_t *read_string(struct reader *reader, size_t *length);
// Everything was read, and nothing beyond.
bool read_all(const struct reader *reader);

// Frames under way to the gateway: storage of a fixed size that is written from `sent` to `length`.
struct outbox {
  uint8_t *bytes;
  size_t capacity;
  size_t sent;
  size_t length;
};

size_t outbox_pending(const struct outbox *outbox);
// Room for so many more bytes, moving what is pending to the front where that helps.
bool outbox_has_room(struct outbox *outbox, size_t length);
// Starts a frame. The caller has made sure of the room and writes exactly so many bytes of payload.
void put_header(struct outbox *outbox, uint8_t type, size_t payload_length);
void put_u8(struct outbox *outbox, uint8_t value);
void put_u16(struct outbox *outbox, uint16_t value);
void put_u32(struct outbox *outbox, uint32_t value);
void put_u64(struct outbox *outbox, uint64_t value);
void put_bytes(struct outbox *outbox, const void *bytes, size_t length);
// Room within the frame for the caller to write to.
uint8_t *put_space(struct outbox *outbox, size_t length);

#endif
