// The byte queue: power-of-two storage indexed by the low bits of the offset, grown by doubling.
#include "ring.h"

#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#include "protocol.h"

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

void ring_init(struct ring *ring, size_t limit) { *ring = (struct ring){.limit = limit}; }

size_t ring_held(const struct ring *ring) { return (size_t)(ring->end - ring->start); }

int ring_is_full(const struct ring *ring) { return ring_held(ring) == ring->limit; }

// The span of storage from an offset on that does not wrap.
static size_t span(const struct ring *ring, uint64_t offset, size_t length) {
  size_t at = (size_t)offset & (ring->capacity - 1);
  return smaller(length, ring->capacity - at);
}

static uint8_t *place(const struct ring *ring, uint64_t offset) {
  return ring->bytes + ((size_t)offset & (ring->capacity - 1));
}

static int resize(struct ring *ring, size_t capacity) {
  struct ring next = *ring;
  next.bytes = malloc(capacity);
  next.capacity = capacity;
  if (next.bytes == NULL) return 0;
  uint64_t offset = ring->start;
  while (offset < ring->end) {
    size_t length = span(ring, offset, (size_t)(ring->end - offset));
    length = span(&next, offset, length);
    memcpy(place(&next, offset), place(ring, offset), length);
    offset += length;
  }
  free(ring->bytes);
  *ring = next;
  return 1;
}

size_t ring_make_room(struct ring *ring) {
  if (ring->capacity == 0) {
    if (!resize(ring, smaller(FIRST_RING_BYTES, ring->limit))) return 0;
  } else if (ring_held(ring) == ring->capacity && ring->capacity < ring->limit) {
    if (!resize(ring, ring->capacity * 2)) return 0;
  }
  return ring->capacity - ring_held(ring);
}

ssize_t ring_fill_from(struct ring *ring, int fd) {
  size_t room = ring->capacity - ring_held(ring);
  size_t first = span(ring, ring->end, room);
  struct iovec parts[2] = {
      {.iov_base = place(ring, ring->end), .iov_len = first},
      {.iov_base = ring->bytes, .iov_len = room - first},
  };
  ssize_t got = readv(fd, parts, room > first ? 2 : 1);
  if (got > 0) ring->end += (uint64_t)got;
  return got;
}

ssize_t ring_drain_to(struct ring *ring, int fd) {
  size_t held = ring_held(ring);
  size_t first = span(ring, ring->start, held);
  struct iovec parts[2] = {
      {.iov_base = place(ring, ring->start), .iov_len = first},
      {.iov_base = ring->bytes, .iov_len = held - first},
  };
  ssize_t put = writev(fd, parts, held > first ? 2 : 1);
  if (put > 0) ring->start += (uint64_t)put;
  return put;
}

int ring_append(struct ring *ring, const uint8_t *bytes, size_t length) {
  size_t wanted = ring_held(ring) + length;
  size_t capacity = ring->capacity == 0 ? smaller(FIRST_RING_BYTES, ring->limit) : ring->capacity;
  while (capacity < wanted) capacity *= 2;
  if (capacity > ring->limit) return 0;
  if (capacity != ring->capacity && !resize(ring, capacity)) return 0;
  while (length > 0) {
    size_t part = span(ring, ring->end, length);
    memcpy(place(ring, ring->end), bytes, part);
    ring->end += part;
    bytes += part;
    length -= part;
  }
  return 1;
}

void ring_copy(const struct ring *ring, uint64_t offset, uint8_t *into, size_t length) {
  while (length > 0) {
    size_t part = span(ring, offset, length);
    memcpy(into, place(ring, offset), part);
    into += part;
    offset += part;
    length -= part;
  }
}

void ring_drop(struct ring *ring, uint64_t offset) { ring->start = offset; }

void ring_shrink(struct ring *ring) {
  size_t held = ring_held(ring);
  if (held == 0) {
    ring_free(ring);
    return;
  }
  size_t capacity = ring->capacity;
  while (capacity / 2 >= held) capacity /= 2;
  // Without memory for the smaller copy the larger one simply stays.
  if (capacity < ring->capacity) (void)resize(ring, capacity);
}

void ring_free(struct ring *ring) {
  free(ring->bytes);
  ring->bytes = NULL;
  ring->capacity = 0;
}
