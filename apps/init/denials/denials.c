// Tells which packets the kernel's rules denied: reads a group of its packet log, and writes a record for each to stdout.
//
//   nsenter --net=PATH sallyport-denials GROUP
//
// The log is opened as root. What a tenant's packet could reach by a mistake in here runs as nobody, with a handful of
// system calls and two sockets: the log's, and one that only asks for names of interfaces.
#include <arpa/inet.h>
#include <errno.h>
#include <grp.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_log.h>
#include <linux/netlink.h>
#include <linux/seccomp.h>
#include <net/if.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "parse.h"

#define NAME "sallyport-denials"
#define NOBODY 65534
// Of a packet: addresses and ports, behind some options.
#define SNAP_BYTES 80
// How long the kernel gathers packets for one message, in hundredths of a second, and how many of them.
#define GATHER_TIME 10
#define GATHER_PACKETS 64
#define RECEIVE_BYTES (64 * 1024)
// Of the kernel's queue: more is lost, as the rules count it all the same.
#define QUEUE_BYTES (1024 * 1024)
#define MAX_RECORDS 512

#if defined(__x86_64__)
#define MACHINE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define MACHINE AUDIT_ARCH_AARCH64
#endif

static int names;
static uint8_t records[MAX_RECORDS * RECORD_BYTES];
static size_t pending;

_Noreturn static void fail(const char *what) {
  (void)dprintf(STDERR_FILENO, NAME ": %s: %s\n", what, strerror(errno));
  _exit(1);
}

// Sends a setting of the group and takes the kernel's word that it holds.
static void configure(int log, uint16_t group, uint16_t type, const void *value, size_t length) {
  struct {
    struct nlmsghdr head;
    struct nfgenmsg about;
    struct nlattr attribute;
    uint8_t value[16];
  } request = {
      .head = {.nlmsg_type = (NFNL_SUBSYS_ULOG << 8) | NFULNL_MSG_CONFIG, .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK},
      .about = {.nfgen_family = AF_UNSPEC, .version = NFNETLINK_V0, .res_id = htons(group)},
      .attribute = {.nla_len = (uint16_t)(sizeof(struct nlattr) + length), .nla_type = type},
  };
  memcpy(request.value, value, length);
  request.head.nlmsg_len = (uint32_t)(offsetof(__typeof__(request), value) + NLMSG_ALIGN(length));
  struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
  if (sendto(log, &request, request.head.nlmsg_len, 0, (struct sockaddr *)&kernel, sizeof kernel) < 0)
    fail("cannot set the log up");
  // Packets may come before the answer, once the group is bound: they are lost, and counted by the rules.
  for (;;) {
    static uint8_t answer[RECEIVE_BYTES];
    ssize_t got = recv(log, answer, sizeof answer, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < (ssize_t)(sizeof(struct nlmsghdr) + sizeof(int))) fail("cannot set the log up");
    struct nlmsghdr head;
    int error;
    memcpy(&head, answer, sizeof head);
    memcpy(&error, answer + sizeof head, sizeof error);
    if (head.nlmsg_type != NLMSG_ERROR) continue;
    if (error == 0) return;
    errno = -error;
    fail("cannot set the log up");
  }
}

static int open_log(uint16_t group) {
  int log = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
  struct sockaddr_nl self = {.nl_family = AF_NETLINK};
  int bytes = QUEUE_BYTES, on = 1;
  if (log < 0 || bind(log, (struct sockaddr *)&self, sizeof self) != 0 ||
      setsockopt(log, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes) != 0 ||
      setsockopt(log, SOL_NETLINK, NETLINK_NO_ENOBUFS, &on, sizeof on) != 0)
    fail("cannot open the log");
  struct nfulnl_msg_config_cmd command = {.command = NFULNL_CFG_CMD_BIND};
  configure(log, group, NFULA_CFG_CMD, &command, sizeof command);
  struct nfulnl_msg_config_mode mode = {.copy_mode = NFULNL_COPY_PACKET, .copy_range = htonl(SNAP_BYTES)};
  configure(log, group, NFULA_CFG_MODE, &mode, sizeof mode);
  uint32_t time = htonl(GATHER_TIME), packets = htonl(GATHER_PACKETS);
  configure(log, group, NFULA_CFG_TIMEOUT, &time, sizeof time);
  configure(log, group, NFULA_CFG_QTHRESH, &packets, sizeof packets);
  return log;
}

static void give_up_privileges(void) {
  if (setgroups(0, NULL) != 0 || setresgid(NOBODY, NOBODY, NOBODY) != 0 || setresuid(NOBODY, NOBODY, NOBODY) != 0)
    fail("cannot become nobody");
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) fail("cannot give privileges up");
#ifdef MACHINE
#define ALLOW(call) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_##call, 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
  struct sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, MACHINE, 1, 0),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      ALLOW(recvfrom),
      ALLOW(write),
      ALLOW(ppoll),
#ifdef __NR_poll
      ALLOW(poll),
#endif
      ALLOW(ioctl),
      ALLOW(exit_group),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
  };
  struct sock_fprog program = {.len = sizeof filter / sizeof *filter, .filter = filter};
  if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) fail("cannot give system calls up");
#endif
}

// Ends the program where nobody reads any more.
static void flush_records(void) {
  for (size_t at = 0; at < pending;) {
    ssize_t put = write(STDOUT_FILENO, records + at, pending - at);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) _exit(0);
    at += (size_t)put;
  }
  pending = 0;
}

static void on_denial(const struct denial *denial, void *context) {
  (void)context;
  struct ifreq link = {.ifr_ifindex = (int)denial->link};
  // One that is gone has no name, and nobody to tell.
  if (ioctl(names, SIOCGIFNAME, &link) != 0) return;
  char name[LINK_BYTES] = {0};
  memcpy(name, link.ifr_name, strnlen(link.ifr_name, sizeof name));
  write_record(denial, name, records + pending);
  pending += RECORD_BYTES;
  if (pending == sizeof records) flush_records();
}

int main(int argc, char **argv) {
  char *end = NULL;
  unsigned long group = argc == 2 ? strtoul(argv[1], &end, 10) : 0;
  if (argc != 2 || *argv[1] == '\0' || *end != '\0' || group > UINT16_MAX) {
    (void)dprintf(STDERR_FILENO, "usage: " NAME " GROUP\n");
    return 2;
  }
  int log = open_log((uint16_t)group);
  names = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (names < 0) fail("cannot ask for names");
  give_up_privileges();
  static uint8_t received[RECEIVE_BYTES];
  struct pollfd waits[2] = {{.fd = log, .events = POLLIN}, {.fd = STDOUT_FILENO, .events = 0}};
  for (;;) {
    if (poll(waits, 2, -1) < 0 && errno != EINTR) _exit(1);
    if (waits[1].revents != 0) _exit(0);
    ssize_t got = recv(log, received, sizeof received, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) continue;
    if (got < 0) _exit(1);
    parse_messages(received, (size_t)got, on_denial, NULL);
    flush_records();
  }
}
