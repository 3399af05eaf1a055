// What both ends of the benchmark "tunnel" know: a command of nine bytes, one of these and a count (little-endian), and
// the bytes that follow it, which each end makes for itself to compare what came.
#include <stdint.h>
#include <string.h>

#define COMMAND_BYTES 9
// The app sends COUNT bytes and ends its half.
#define DOWN 'd'
// The client sends COUNT bytes, the app answers with how many of them were as they should be, eight bytes.
#define UP 'u'
// Whatever the client sends comes back.
#define ECHO 'e'

// A prime: no buffer of anybody is a multiple of it, so that bytes out of place are seen.
#define PERIOD 262139
#define CHUNK (256 * 1024)

static unsigned char pattern[PERIOD + CHUNK];

static inline void make_pattern(void) {
  uint64_t state = 0x9e3779b97f4a7c15u;
  for (size_t i = 0; i < PERIOD; i += 1) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    pattern[i] = (unsigned char)state;
  }
  for (size_t i = PERIOD; i < sizeof pattern; i += 1) pattern[i] = pattern[i - PERIOD];
}

// The stream's bytes from this place on, CHUNK of them.
static inline const unsigned char *bytes_at(uint64_t place) { return pattern + place % PERIOD; }
