// Which descriptors the loop waits for. An event carries a tag, never a pointer: what it meant may be gone by then.
#ifndef SALLYPORT_WATCH_H
#define SALLYPORT_WATCH_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

enum watch_kind { WATCH_LISTENER = 1, WATCH_SIGNALS, WATCH_STRANGER, WATCH_GATEWAY, WATCH_INPUT, WATCH_STDOUT, WATCH_STDERR };

// Not waited for at all. (An interest of 0 still hears of errors and hang-ups, and would spin on them.)
#define WATCH_OFF UINT32_MAX

struct watch {
  int fd;  // -1: none
  uint32_t interest;
  uint64_t tag;
};

// Makes the loop's epoll instance. False, errno: it failed.
bool watch_open(void);
int watch_wait(struct epoll_event *events, int count, int timeout_ms);
void watch_begin(struct watch *watch, int fd, enum watch_kind kind, uint32_t number);
void watch_set(struct watch *watch, uint32_t interest);
void watch_close(struct watch *watch);
int64_t watch_now_ms(void);
static inline enum watch_kind watch_kind_of(uint64_t tag) { return (enum watch_kind)(tag >> 32); }
static inline uint32_t watch_number_of(uint64_t tag) { return (uint32_t)tag; }

// Something could not be done for want of memory or descriptors: the loop tries everything again after a pause.
extern bool watch_starved;

#endif
