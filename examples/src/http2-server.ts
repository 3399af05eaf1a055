// Shared by the examples: a server of HTTP/2 for a sandbox, in Python's standard library alone (RFC 9113). It answers every
// request with one sentence, whatever it is for.
export const HTTP2_SERVER = `
import socketserver, struct, sys

PREFACE = b"PRI * HTTP/2.0\\r\\n\\r\\nSM\\r\\n\\r\\n"
DATA, HEADERS, SETTINGS, PING = 0, 1, 4, 6
END_STREAM, ACK, END_HEADERS = 1, 1, 4

class Handler(socketserver.StreamRequestHandler):
    def send(self, kind, flags, stream, payload=b""):
        self.wfile.write(struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload)
        self.wfile.flush()

    def handle(self):
        if self.rfile.read(len(PREFACE)) != PREFACE:
            return
        self.send(SETTINGS, 0, 0)
        while len(head := self.rfile.read(9)) == 9:
            kind, flags, stream = head[3], head[4], struct.unpack(">I", head[5:])[0]
            payload = self.rfile.read(int.from_bytes(head[:3], "big"))
            if kind == SETTINGS and not flags & ACK:
                self.send(SETTINGS, ACK, 0)
            elif kind == PING and not flags & ACK:
                self.send(PING, ACK, 0, payload)
            elif kind == HEADERS and flags & END_STREAM:
                self.send(HEADERS, END_HEADERS, stream, b"\\x88")  # :status 200, of the static table
                self.send(DATA, END_STREAM, stream, b"HTTP/2 from a sandbox")

class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True

Server(("", int(sys.argv[1])), Handler).serve_forever()
`;
