#include "parse.h"

#include <arpa/inet.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_log.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <string.h>

#define PACKET_MESSAGE ((NFNL_SUBSYS_ULOG << 8) | NFULNL_MSG_PACKET)
#define TYPE_MASK 0x3fff
#define IPV4_HEAD 20
#define IPV6_HEAD 40
// More headers between address and payload than anybody needs.
#define MAX_EXTENSIONS 8
#define RECORD_VERSION 1

// Bytes that are there, and how many.
struct view {
  const uint8_t *bytes;
  size_t length;
};

static uint16_t get16(const uint8_t *at) { return (uint16_t)(at[0] << 8 | at[1]); }

static struct view after(struct view view, size_t skip) {
  if (skip > view.length) skip = view.length;
  return (struct view){view.bytes + skip, view.length - skip};
}

// What follows the IP headers, of the packet's first piece.
static void parse_transport(struct view view, struct denial *denial) {
  bool has_ports = denial->protocol == IPPROTO_TCP || denial->protocol == IPPROTO_UDP;
  bool is_icmp = denial->protocol == (denial->family == 4 ? IPPROTO_ICMP : IPPROTO_ICMPV6);
  if (has_ports && view.length >= 4) {
    denial->has_port = true;
    denial->port = get16(view.bytes + 2);
  } else if (is_icmp && view.length >= 1) {
    denial->has_type = true;
    denial->type = view.bytes[0];
  }
}

static bool parse_ipv4(struct view packet, struct denial *denial) {
  if (packet.length < IPV4_HEAD) return false;
  size_t head = (size_t)(packet.bytes[0] & 15) * 4;
  if (head < IPV4_HEAD) return false;
  denial->family = 4;
  denial->protocol = packet.bytes[9];
  memcpy(denial->source, packet.bytes + 12, 4);
  memcpy(denial->destination, packet.bytes + 16, 4);
  bool is_first = (get16(packet.bytes + 6) & 0x1fff) == 0;
  if (is_first && packet.length > head) parse_transport(after(packet, head), denial);
  return true;
}

static bool parse_ipv6(struct view packet, struct denial *denial) {
  if (packet.length < IPV6_HEAD) return false;
  denial->family = 6;
  memcpy(denial->source, packet.bytes + 8, 16);
  memcpy(denial->destination, packet.bytes + 24, 16);
  uint8_t next = packet.bytes[6];
  struct view rest = after(packet, IPV6_HEAD);
  bool is_first = true;
  for (int n = 0; n < MAX_EXTENSIONS; n++) {
    bool is_option = next == IPPROTO_HOPOPTS || next == IPPROTO_ROUTING || next == IPPROTO_DSTOPTS;
    bool is_piece = next == IPPROTO_FRAGMENT;
    if (!is_option && !is_piece) break;
    denial->protocol = next;
    if (rest.length < 8) return true;
    if (is_piece) is_first = (get16(rest.bytes + 2) & 0xfff8) == 0;
    size_t length = is_piece ? 8 : ((size_t)rest.bytes[1] + 1) * 8;
    next = rest.bytes[0];
    rest = after(rest, length);
    // What follows a later piece's head is the middle of something.
    if (!is_first) break;
  }
  denial->protocol = next;
  if (is_first) parse_transport(rest, denial);
  return true;
}

static bool parse_packet(struct view packet, struct denial *denial) {
  if (packet.length < 1) return false;
  switch (packet.bytes[0] >> 4) {
    case 4: return parse_ipv4(packet, denial);
    case 6: return parse_ipv6(packet, denial);
    default: return false;
  }
}

static void parse_word(struct view text, struct denial *denial) {
  size_t length = strnlen((const char *)text.bytes, text.length);
  if (length > WORD_BYTES) length = WORD_BYTES;
  memset(denial->word, 0, WORD_BYTES);
  memcpy(denial->word, text.bytes, length);
}

static bool parse_log(struct view attributes, struct denial *denial) {
  struct view packet = {NULL, 0};
  while (attributes.length >= sizeof(struct nlattr)) {
    struct nlattr head;
    memcpy(&head, attributes.bytes, sizeof head);
    if (head.nla_len < sizeof head || head.nla_len > attributes.length) return false;
    struct view payload = {attributes.bytes + sizeof head, head.nla_len - sizeof head};
    switch (head.nla_type & TYPE_MASK) {
      case NFULA_IFINDEX_INDEV:
        if (payload.length >= 4) {
          uint32_t link;
          memcpy(&link, payload.bytes, sizeof link);
          denial->link = ntohl(link);
        }
        break;
      case NFULA_PREFIX: parse_word(payload, denial); break;
      case NFULA_PAYLOAD: packet = payload; break;
      default: break;
    }
    attributes = after(attributes, NLMSG_ALIGN(head.nla_len));
  }
  return parse_packet(packet, denial);
}

void parse_messages(const uint8_t *bytes, size_t length, void (*found)(const struct denial *, void *), void *context) {
  struct view rest = {bytes, length};
  while (rest.length >= sizeof(struct nlmsghdr)) {
    struct nlmsghdr head;
    memcpy(&head, rest.bytes, sizeof head);
    if (head.nlmsg_len < sizeof head || head.nlmsg_len > rest.length) return;
    struct view body = {rest.bytes + sizeof head, head.nlmsg_len - sizeof head};
    struct denial denial = {0};
    bool is_log = head.nlmsg_type == PACKET_MESSAGE && body.length >= sizeof(struct nfgenmsg);
    if (is_log && parse_log(after(body, sizeof(struct nfgenmsg)), &denial)) found(&denial, context);
    rest = after(rest, NLMSG_ALIGN(head.nlmsg_len));
  }
}

void write_record(const struct denial *denial, const char *link_name, uint8_t record[RECORD_BYTES]) {
  memset(record, 0, RECORD_BYTES);
  record[0] = RECORD_VERSION;
  record[1] = denial->family;
  record[2] = denial->protocol;
  record[3] = (uint8_t)((denial->has_port ? 1 : 0) | (denial->has_type ? 2 : 0));
  record[4] = (uint8_t)(denial->port >> 8);
  record[5] = (uint8_t)denial->port;
  record[6] = denial->type;
  memcpy(record + 8, link_name, LINK_BYTES);
  memcpy(record + 24, denial->word, WORD_BYTES);
  memcpy(record + 48, denial->source, 16);
  memcpy(record + 64, denial->destination, 16);
}
