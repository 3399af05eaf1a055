// The epoll instance behind struct watch.
#include "watch.h"

#include <time.h>
#include <unistd.h>

bool watch_starved;
static int epoll = -1;

bool watch_open(void) {
  epoll = epoll_create1(EPOLL_CLOEXEC);
  return epoll >= 0;
}

int watch_wait(struct epoll_event *events, int count, int timeout_ms) {
  return epoll_wait(epoll, events, count, timeout_ms);
}

int64_t watch_now_ms(void) {
  struct timespec now;
  (void)clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void watch_begin(struct watch *watch, int fd, enum watch_kind kind, uint32_t number) {
  *watch = (struct watch){.fd = fd, .interest = WATCH_OFF, .tag = (uint64_t)kind << 32 | number};
}

void watch_set(struct watch *watch, uint32_t interest) {
  if (watch->fd < 0 || watch->interest == interest) return;
  struct epoll_event event = {.events = interest, .data.u64 = watch->tag};
  int change = watch->interest == WATCH_OFF ? EPOLL_CTL_ADD : interest == WATCH_OFF ? EPOLL_CTL_DEL : EPOLL_CTL_MOD;
  if (epoll_ctl(epoll, change, watch->fd, &event) == 0) {
    watch->interest = interest;
  } else {
    watch_starved = true;
  }
}

void watch_close(struct watch *watch) {
  if (watch->fd < 0) return;
  watch_set(watch, WATCH_OFF);
  (void)close(watch->fd);
  watch->fd = -1;
}
