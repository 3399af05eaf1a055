// How edges speak TLS, whatever the certificate: 1.2 and 1.3 alone, with forward secrecy, without early data (which
// Node never accepts; RFC 8446, section 2.3: it can be replayed).
import { constants } from "node:crypto";
import type { SecureContextOptions } from "node:tls";

export const TLS_SETTINGS: Readonly<SecureContextOptions> = {
  minVersion: "TLSv1.2",
  // Of TLS 1.2 what RFC 9113, appendix A, leaves over. Those of 1.3 are all sound.
  ciphers: [
    "TLS_AES_128_GCM_SHA256",
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-RSA-CHACHA20-POLY1305",
  ].join(":"),
  honorCipherOrder: true,
  // With one that withstands quantum computers first. None over finite fields: a client could have work done for nothing.
  ecdhCurve: "X25519MLKEM768:X25519:prime256v1:secp384r1",
  secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
};

/** Of a context whose sessions are never resumed. Beside {@link TLS_SETTINGS}. */
export const NO_TICKETS: Readonly<SecureContextOptions> = {
  secureOptions: constants.SSL_OP_NO_RENEGOTIATION | constants.SSL_OP_NO_TICKET,
};
