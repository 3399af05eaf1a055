// The words and limits of init's protocol (README.md beside this folder is the normative text). Everything that grows
// with what a peer or a process does has its bound here.
#ifndef SALLYPORT_PROTOCOL_H
#define SALLYPORT_PROTOCOL_H

#define INIT_PORT 10099
#define PROTOCOL_VERSION 1
#define SECRET_BYTES 32

#define HEADER_BYTES 5
// Payload of START; it carries argv and env.
#define MAX_START_BYTES (1024 * 1024)
// Payload of every other frame.
#define MAX_PAYLOAD_BYTES (64 * 1024)
#define HELLO_PAYLOAD_BYTES (4 + 1 + SECRET_BYTES)

// Records, running and ended ones together.
#define MAX_PROCESSES 512
#define MAX_ID_BYTES 64
// Bytes of one OUTPUT frame.
#define MAX_OUTPUT_BYTES (32 * 1024)
// Output of one stream that is kept until it is acknowledged; a full ring blocks the writer. Powers of two.
#define RING_BYTES (256 * 1024)
#define FIRST_RING_BYTES (16 * 1024)
// Input of one process beyond what its stdin has taken.
#define MAX_INPUT_BYTES (64 * 1024)

// Connections that have not said HELLO yet: how many, and how long they may take.
#define MAX_STRANGERS 8
#define HELLO_TIMEOUT_MS 5000
// Answers that the gateway has not taken yet; beyond the pause mark its frames wait. The rest leaves room for WELCOME
// with every record, and for what processes have to say on their own (EXIT, INPUT_ACCEPTED).
#define ANSWER_BYTES (192 * 1024)
#define ANSWER_PAUSE_BYTES (64 * 1024)
// OUTPUT frames under way to the gateway: an answer waits for so many bytes at most.
#define FLOW_BYTES (128 * 1024)
// Bytes sent in one turn of the loop before the other descriptors have theirs.
#define TURN_BYTES (1024 * 1024)
// Pause between two EOF characters to a terminal, so that the first is read before the second comes: gVisor's terminal
// loses the second otherwise.
#define EOF_PAUSE_MS 100
// Pause before a descriptor or an allocation that failed for want of resources is tried again.
#define STARVED_RETRY_MS 100
// Descriptors kept free of processes, so that the gateway can always come in.
#define RESERVED_DESCRIPTORS 32

enum frame_type {
  FRAME_HELLO = 0x01,
  FRAME_START = 0x02,
  FRAME_RESUME = 0x03,
  FRAME_ACK = 0x04,
  FRAME_INPUT = 0x05,
  FRAME_INPUT_END = 0x06,
  FRAME_SIGNAL = 0x07,
  FRAME_RESIZE = 0x08,
  FRAME_FORGET = 0x09,
  FRAME_PING = 0x0a,

  FRAME_WELCOME = 0x81,
  FRAME_PROCESS = 0x82,
  FRAME_STARTED = 0x83,
  FRAME_START_FAILED = 0x84,
  FRAME_OUTPUT = 0x85,
  FRAME_OUTPUT_END = 0x86,
  FRAME_EXIT = 0x87,
  FRAME_INPUT_ACCEPTED = 0x88,
  FRAME_PONG = 0x89,
};

enum start_flag { START_PTY = 1, START_STDIN = 2 };
enum process_flag { PROCESS_PTY = 1, PROCESS_EXITED = 2, PROCESS_STDIN_OPEN = 4 };
enum exit_kind { EXIT_NORMAL = 0, EXIT_SIGNALLED = 1 };

// Where a start failed, as START_FAILED tells it.
enum start_stage {
  STAGE_NONE = 0,
  STAGE_LIMIT = 1,
  STAGE_PIPE = 2,
  STAGE_FORK = 3,
  STAGE_CWD = 4,
  STAGE_EXEC = 5,
};

#endif
