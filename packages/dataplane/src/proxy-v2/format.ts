// The form of a header, as section 2.2 of HAProxy's "The PROXY protocol, versions 1 & 2" has it:
//
//   12 bytes  signature
//    1 byte   version (2) and command: LOCAL 0, PROXY 1
//    1 byte   address family (UNSPEC 0, INET 1, INET6 2, UNIX 3) and transport (UNSPEC 0, STREAM 1, DGRAM 2)
//    2 bytes  length of what follows
//             source address, destination address, source port, destination port
//             TLVs: 1 byte type, 2 bytes length, value

export const SIGNATURE: Buffer = Buffer.from("\r\n\r\n\0\r\nQUIT\n", "latin1");
/** What a header of version 1 begins with. */
export const VERSION_1: Buffer = Buffer.from("PROXY ", "latin1");
/** Up to and with the length. */
export const HEAD_BYTES = 16;
/** Where the version and the command stand, where family and transport, where the length. */
export const COMMAND_AT = 12;
export const FAMILY_AT = 13;
export const LENGTH_AT = 14;

export const LOCAL = 0x20;
export const PROXY = 0x21;
export const UNSPEC = 0x00;
export const TCP4 = 0x11;
export const TCP6 = 0x21;

/** The most bytes of a header, TLVs included; a sender that tells of a client's certificate needs some hundred. */
export const MAX_PROXY_HEADER_BYTES = 4_096;
/** The most TLVs of a header. */
export const MAX_TLVS = 64;
export const TLV_HEAD_BYTES = 3;
/** Type of the TLV that holds a CRC32C of the whole header, taken with zeroes in its place (section 2.2.3). */
export const CRC32C_TLV = 0x03;
export const CRC32C_BYTES = 4;
