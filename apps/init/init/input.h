// Standard input of processes: what the gateway sends, held until the process takes it.
#ifndef SALLYPORT_INPUT_H
#define SALLYPORT_INPUT_H

#include "process.h"

// fd -1: the process has no standard input of ours.
void input_begin(struct input *input, int fd, uint32_t handle);
void input_event(struct process *process, uint32_t events);
// Waits for what is needed next: room to write, or only the news that the process closed its end.
void input_watch(struct input *input);
// Whether more bytes may come.
bool input_is_open(const struct input *input);
// Does what is due by time. The result is when to come again, in milliseconds; -1: nothing waits for time.
int input_tick(struct process *process, int64_t now_ms);
// The process ended or closed its end: further input is dropped, and the gateway is told.
void input_refuse(struct input *input);

#endif
