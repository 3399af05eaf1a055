// A persistent nftables session: one transaction per request, without the cost of a process for each.
//
// Both ways u32 length (big-endian), then so many bytes. Request: 'j' and libnftables' JSON, 't' and nft text, or 'n' and
// messages for the kernel's netfilter socket, which go there as they are: libnftables reads all sets before it changes
// one. Answer: status (0 done, 1 refused), then JSON output, all messages that the kernel sent back (refusals among
// them), or the error text. Ends at the end of its input.
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <linux/netlink.h>
#include <netdb.h>
#include <nftables/libnftables.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_REQUEST_BYTES (16 * 1024 * 1024)
// Of an error's text, which quotes the request.
#define MAX_ERROR_BYTES (64 * 1024)
// A buffer larger than this is given back after its request.
#define KEPT_BYTES (256 * 1024)
// Of what the kernel says to one request.
#define MAX_REPLY_BYTES (32 * 1024 * 1024)
// A part of it: as much as the kernel writes in one piece.
#define PART_BYTES (64 * 1024)

// libnftables resolves names in rules; this definition comes before the C library's. A name in a rule is an error: rules
// must not depend on what a resolver says, nor wait for it.
int getaddrinfo(const char *restrict node, const char *restrict service, const struct addrinfo *restrict hints,
                struct addrinfo **restrict result) {
  typedef int lookup(const char *, const char *, const struct addrinfo *, struct addrinfo **);
  lookup *original = NULL;
  // POSIX lets a function pointer pass through void *; C itself has no cast for it.
  *(void **)&original = dlsym(RTLD_NEXT, "getaddrinfo");
  if (original == NULL) return EAI_FAIL;
  struct addrinfo numeric = {0};
  if (hints != NULL) numeric = *hints;
  if (node != NULL) numeric.ai_flags |= AI_NUMERICHOST;
  return original(node, service, &numeric, result);
}

_Noreturn static void give_up(const char *problem) {
  (void)dprintf(STDERR_FILENO, "sallyport-nft: %s\n", problem);
  exit(1);
}

// False: the input ended before the first byte.
static bool read_exactly(void *into, size_t length) {
  uint8_t *at = into;
  size_t left = length;
  while (left > 0) {
    ssize_t got = read(STDIN_FILENO, at, left);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) give_up("cannot read");
    if (got == 0) {
      if (left == length) return false;
      give_up("the input ends within a request");
    }
    at += got;
    left -= (size_t)got;
  }
  return true;
}

static void write_exactly(const void *from, size_t length) {
  const uint8_t *at = from;
  while (length > 0) {
    ssize_t put = write(STDOUT_FILENO, at, length);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) give_up("cannot write");
    at += put;
    length -= (size_t)put;
  }
}

static void answer_bytes(bool done, const void *bytes, size_t length) {
  if (length >= UINT32_MAX) give_up("an answer that is too long");
  uint8_t head[5];
  uint32_t payload = htonl((uint32_t)length + 1);
  memcpy(head, &payload, sizeof payload);
  head[4] = done ? 0 : 1;
  write_exactly(head, sizeof head);
  write_exactly(bytes, length);
}

static void answer(bool done, const char *text) {
  size_t length = text == NULL ? 0 : strlen(text);
  if (!done && length > MAX_ERROR_BYTES) length = MAX_ERROR_BYTES;
  answer_bytes(done, text, length);
}

// Whether nft text has the keyword of an include statement. Strings and comments do not count; a name with the keyword
// in it does: where one word ends and the next begins is the parser's secret.
static bool includes_files(const char *text) {
  static const char keyword[] = "include";
  while (*text != '\0') {
    const char *close = *text == '"' ? strchr(text + 1, '"') : NULL;
    if (close != NULL) {
      text = close + 1;
    } else if (*text == '#') {
      text += strcspn(text, "\n");
    } else if (strncmp(text, keyword, sizeof keyword - 1) == 0) {
      return true;
    } else {
      text += 1;
    }
  }
  return false;
}

// Why a request cannot be run; NULL: it can.
static const char *refusal(const char *request, size_t length) {
  if (memchr(request, 0, length) != NULL) return "a request with a NUL byte";
  const char *body = request + 1;
  // libnftables tries JSON first and text then, whatever the buffer holds: the two must be told apart here.
  bool looks_like_json = body[strspn(body, " \t\r\n")] == '{';
  switch (request[0]) {
    case 'j': return looks_like_json ? NULL : "a JSON request that is no object";
    case 't':
      if (looks_like_json) return "a text request that looks like JSON";
      return includes_files(body) ? "include is not allowed" : NULL;
    default: return "a request that begins with neither j nor t nor n";
  }
}

static void run(struct nft_ctx *context, const char *request, size_t length) {
  const char *reason = refusal(request, length);
  if (reason != NULL) {
    answer(false, reason);
    return;
  }
  bool done = nft_run_cmd_from_buffer(context, request + 1) == 0;
  // Both buffers begin anew with the next command.
  const char *output = nft_ctx_get_output_buffer(context);
  const char *problem = nft_ctx_get_error_buffer(context);
  if (done) {
    answer(true, output);
  } else {
    answer(false, problem != NULL && *problem != '\0' ? problem : "refused without a reason");
  }
}

// -1, with errno, where there is none to be had.
static int open_socket(void) {
  int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
  if (fd < 0) return -1;
  struct sockaddr_nl self = {.nl_family = AF_NETLINK};
  int most = MAX_REQUEST_BYTES, on = 1;
  bool ready = bind(fd, (struct sockaddr *)&self, sizeof self) == 0 &&
               setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &most, sizeof most) == 0 &&
               setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &most, sizeof most) == 0 &&
               // Refusals say where and why, and do not repeat the request.
               setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof on) == 0 &&
               setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof on) == 0;
  if (ready) return fd;
  int problem = errno;
  (void)close(fd);
  errno = problem;
  return -1;
}

// Reads all that the kernel has said: it answers while it is spoken to, and goes on with a list while it is read from,
// so that there is nothing to wait for. False, with errno, where some of it is lost.
static bool hear(int fd, char **reply, size_t *length) {
  size_t capacity = 0;
  *reply = NULL;
  *length = 0;
  for (;;) {
    if (capacity - *length < PART_BYTES) {
      if (capacity >= MAX_REPLY_BYTES) return errno = EMSGSIZE, false;
      capacity = capacity == 0 ? PART_BYTES : capacity * 2;
      char *larger = realloc(*reply, capacity);
      if (larger == NULL) give_up("no memory");
      *reply = larger;
    }
    ssize_t got = recv(fd, *reply + *length, PART_BYTES, MSG_DONTWAIT | MSG_TRUNC);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) return true;
    if (got < 0) return false;
    if ((size_t)got > PART_BYTES) return errno = EMSGSIZE, false;
    *length += (size_t)got;
  }
}

// After a failure the next request begins with another socket: nothing late is taken for an answer.
static void pass_on(int *fd, const char *messages, size_t length) {
  if (*fd < 0) *fd = open_socket();
  struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
  char *reply = NULL;
  size_t reply_length = 0;
  bool done = *fd >= 0 && sendto(*fd, messages, length, 0, (struct sockaddr *)&kernel, sizeof kernel) >= 0 &&
              hear(*fd, &reply, &reply_length);
  if (done) {
    answer_bytes(true, reply, reply_length);
  } else {
    answer(false, strerror(errno));
    if (*fd >= 0) (void)close(*fd);
    *fd = -1;
  }
  free(reply);
}

static struct nft_ctx *make_context(void) {
  struct nft_ctx *context = nft_ctx_new(NFT_CTX_DEFAULT);
  if (context == NULL) give_up("no nftables context");
  nft_ctx_output_set_flags(context, NFT_CTX_OUTPUT_JSON | NFT_CTX_OUTPUT_NUMERIC_ALL);
  nft_ctx_clear_include_paths(context);
  if (nft_ctx_buffer_output(context) != 0 || nft_ctx_buffer_error(context) != 0) give_up("no buffers");
  return context;
}

int main(void) {
  struct nft_ctx *context = make_context();
  int netfilter = -1;
  char *request = NULL;
  size_t capacity = 0;
  uint32_t head;
  while (read_exactly(&head, sizeof head)) {
    size_t length = ntohl(head);
    if (length == 0 || length > MAX_REQUEST_BYTES) give_up("a request of no length that is allowed");
    if (length + 1 > capacity || capacity > KEPT_BYTES) {
      free(request);
      capacity = length + 1;
      request = malloc(capacity);
      if (request == NULL) give_up("no memory");
    }
    if (!read_exactly(request, length)) give_up("the input ends within a request");
    request[length] = '\0';
    if (request[0] == 'n') {
      pass_on(&netfilter, request + 1, length - 1);
    } else {
      run(context, request, length);
    }
  }
  free(request);
  nft_ctx_free(context);
  return 0;
}
