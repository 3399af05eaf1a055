// Questions to resolvers from inside a sandbox, written and read by hand: a library would ask elsewhere, or again.
import type { Json, Sandbox } from "@sallyport/sdk";
import { lookAround } from "./machine.ts";
import { isList, runForJson, textOf } from "./prober.ts";

export const DNS_PORT = 53;
/** Numbers of record types. */
export const TYPE = { A: 1, NULL: 10, TXT: 16, AAAA: 28, AXFR: 252, ANY: 255 } as const;
/** Any resolver knows what to say to this one, without asking further. */
export const KNOWN_NAME = "localhost";

/**
 * `ask(kind, server, name, type)` is `[rcode, answers, addresses]`, or the name of an error; it asks over an open socket
 * where one is given.
 */
export const ASK: string = `
import errno, json, socket, struct, sys
ANSWER_S = 8
def connected(kind, server):
    s = socket.socket(socket.AF_INET6 if ":" in server else socket.AF_INET, socket.SOCK_DGRAM if kind == "udp" else socket.SOCK_STREAM)
    s.settimeout(ANSWER_S)
    s.connect((server, ${DNS_PORT}))
    return s
def whole(s, size):
    data = b""
    while len(data) < size:
        piece = s.recv(size - len(data))
        if not piece: raise ConnectionResetError(errno.ECONNRESET, "closed")
        data += piece
    return data
def end_of_name(data, at):
    while data[at]:
        if data[at] >= 0xc0: return at + 2
        at += 1 + data[at]
    return at + 1
def read(data):
    _, flags, questions, count, _, _ = struct.unpack_from("!6H", data)
    at, addresses = 12, []
    for _ in range(questions): at = end_of_name(data, at) + 4
    for _ in range(count):
        at = end_of_name(data, at)
        kind, _, _, size = struct.unpack_from("!HHIH", data, at)
        if kind in (1, 28): addresses.append(socket.inet_ntop(socket.AF_INET if kind == 1 else socket.AF_INET6, data[at + 10:at + 10 + size]))
        at += 10 + size
    return [flags & 15, count, addresses]
def question(name, kind, number=7):
    labels = b"".join(bytes([len(l)]) + l.encode() for l in name.split("."))
    return struct.pack("!6H", number, 0x100, 1, 0, 0, 0) + labels + b"\\0" + struct.pack("!2H", kind, 1)
def ask(kind, server, name, record, over=None):
    try:
        s = over or connected(kind, server)
        query = question(name, record)
        s.sendall(query if kind == "udp" else struct.pack("!H", len(query)) + query)
        return read(s.recv(4096) if kind == "udp" else whole(s, struct.unpack("!H", whole(s, 2))[0]))
    except socket.timeout: return "silence"
    except OSError as error: return errno.errorcode.get(error.errno or 0, str(error))
`;

const ASK_ALL = `${ASK}
print(json.dumps([ask(*words) for words in json.loads(sys.argv[1])]))
`;

export type Question = readonly [kind: "udp" | "tcp", server: string, name: string, type: number];

/** What a question came to: a string where nobody answered. */
export type Answer =
  | string
  | { readonly rcode: number; readonly answers: number; readonly addresses: readonly string[] };

/** A name, over UDP and TCP, at both addresses of the own resolver. */
export async function questions(
  sandbox: Sandbox,
  signal: AbortSignal,
  name: string,
  types: readonly number[],
): Promise<readonly Question[]> {
  const { routerIpv4, routerIpv6 } = await lookAround(sandbox, signal);
  return types.flatMap((type) =>
    [routerIpv4, routerIpv6].flatMap((server): Question[] => [
      ["udp", server, name, type],
      ["tcp", server, name, type],
    ]),
  );
}

export async function askAll(
  sandbox: Sandbox,
  asked: readonly Question[],
  signal: AbortSignal,
): Promise<readonly Answer[]> {
  const answers = await runForJson(sandbox, ASK_ALL, [JSON.stringify(asked)], signal);
  if (!isList(answers) || answers.length !== asked.length) throw new Error("the asker lost count");
  return answers.map(toAnswer);
}

/** Pure. */
export function toAnswer(said: Json): Answer {
  if (!isList(said)) return textOf(said);
  const [rcode, answers, addresses = null] = said;
  return {
    rcode: Number(rcode),
    answers: Number(answers),
    addresses: isList(addresses) ? addresses.map(textOf) : [],
  };
}

/** Each answer once, for people. Pure. */
export function words(answers: readonly Answer[]): string {
  const all = answers.map((answer) => (typeof answer === "string" ? answer : `answered (${answer.rcode})`));
  return [...new Set(all)].join(", ");
}
