// A bounded byte queue addressed by stream offsets: byte N of a stream is byte N here, whatever was dropped before it.
#ifndef SALLYPORT_RING_H
#define SALLYPORT_RING_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct ring {
  uint8_t *bytes;
  size_t capacity;  // 0 or a power of two
  size_t limit;     // a power of two
  uint64_t start;   // lowest offset held
  uint64_t end;     // one past the highest offset held
};

void ring_init(struct ring *ring, size_t limit);
size_t ring_held(const struct ring *ring);
// Room without growth beyond the limit; grows when it is full. 0: at its limit, or no memory.
size_t ring_make_room(struct ring *ring);
int ring_is_full(const struct ring *ring);
// Appends up to the room at hand from a descriptor; the result is that of readv.
ssize_t ring_fill_from(struct ring *ring, int fd);
// Writes what is held to a descriptor and drops what was written; the result is that of writev.
ssize_t ring_drain_to(struct ring *ring, int fd);
// Appends bytes; 0 when there is no memory, and then nothing is appended. The caller keeps to the limit.
int ring_append(struct ring *ring, const uint8_t *bytes, size_t length);
// Copies bytes that are held.
void ring_copy(const struct ring *ring, uint64_t offset, uint8_t *into, size_t length);
// Drops everything below the offset, which lies between start and end.
void ring_drop(struct ring *ring, uint64_t offset);
// Gives memory back: to what is held, when the stream has ended.
void ring_shrink(struct ring *ring);
// Gives all memory back. start and end stay.
void ring_free(struct ring *ring);

#endif
