// Shared by the examples: a server for a sandbox, in Python's standard library alone. It answers HTTP with what the
// platform says of the caller, and a WebSocket (RFC 6455) with what it is sent, in frames of up to 125 bytes.
export const CONNECT_SERVER = `
import base64, hashlib, http.server, json

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.headers.get("Upgrade", "").lower() == "websocket":
            return self.web_socket()
        user = json.loads(self.headers.get("X-Verified-User-Data", "null"))
        seen = {"path": self.path, "user": user, "authorization": self.headers.get("Authorization")}
        body = json.dumps(seen).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def web_socket(self):
        key = self.headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        accept = base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", accept)
        self.end_headers()
        self.wfile.flush()
        self.close_connection = True
        while True:
            head = self.rfile.read(2)
            if len(head) < 2:
                return
            opcode, size = head[0] & 15, head[1] & 127
            mask, data = self.rfile.read(4), self.rfile.read(size)
            text = bytes(byte ^ mask[at % 4] for at, byte in enumerate(data))
            self.wfile.write(bytes([128 | opcode, size]) + text)
            self.wfile.flush()
            if opcode == 8:
                return

http.server.ThreadingHTTPServer(("", 8080), Handler).serve_forever()
`;
