// The sockets of look-ups, made by sallyport-resolver-sockets in a network namespace that we are not in.

import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { createServer, type Server } from "node:net";

export interface LookUpSockets {
  readonly udp: readonly Socket[];
  /** Half open: who has sent all its queries may close its side, and is answered all the same. */
  readonly tcp: readonly Server[];
  /** Begins to receive: call when all is ready for it. */
  listen(): Promise<void>;
}

/** Takes them by their descriptors: UDP over IPv4 and IPv6, TCP over both. */
export function socketsAt(descriptors: readonly [number, number, number, number]): LookUpSockets {
  const [udp4, udp6, tcp4, tcp6] = descriptors;
  const udp = [createSocket("udp4"), createSocket("udp6")] as const;
  const tcp = [createServer({ allowHalfOpen: true }), createServer({ allowHalfOpen: true })] as const;
  return {
    udp,
    tcp,
    async listen() {
      const listening = [...udp, ...tcp].map((one) => once(one, "listening")); // bind itself may emit it
      udp[0].bind({ fd: udp4 });
      udp[1].bind({ fd: udp6 });
      tcp[0].listen({ fd: tcp4, backlog: 511 });
      tcp[1].listen({ fd: tcp6, backlog: 511 });
      await Promise.all(listening);
    },
  };
}
