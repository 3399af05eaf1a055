"""The app in the sandbox, from Debian's Python alone: HTTP/1.1 and WebSocket on port 8080, one thread for each connection.

GET  /who               what the proxy says of the client, as JSON
GET  /page              an HTML page with a script and a picture
GET  /clear             an answer that asks browsers to forget everything, and to take cookies for siblings
GET  /seen              what came so far but for this: method, path and user, as JSON
GET  /drip/N            N pieces, ten in a second
GET  /events            server-sent events: the first at once, the second once POST /release came
POST /release           lets the second event go
POST /sum               SHA-256 and length of the body
GET  /bytes/N           N bytes of zeros
HEAD anything, GET /nothing (204), GET /slow (answers once POST /release came)
     /socket            WebSocket: echoes; picks the subprotocol "echo"
"""

import base64
import hashlib
import json
import struct
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
RELEASE = threading.Event()
SEEN = []
PAGE = b"""<!doctype html><title>page</title><link rel="icon" href="data:,">
<script src="/script.js"></script><img src="/picture.svg" alt="">"""
SCRIPT = b"globalThis.scriptRan = true"
PICTURE = b'<svg xmlns="http://www.w3.org/2000/svg" width="3" height="3"></svg>'
CLEAR = {
    "Clear-Site-Data": '"cache", "cookies", "storage"',
    "Set-Cookie": "_connect_token=tossed; Domain=localhost; Path=/; Secure",
}
ZEROS = bytes(1 << 20)


class App(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def note(self):
        if self.path != "/seen":
            SEEN.append([self.command, self.path, self.headers.get("X-Verified-User-Data")])

    def answer(self, body, kind="application/json", more=()):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        for name, value in dict(more).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def read_body(self):
        """The body in pieces, by length or in chunks."""
        if self.headers.get("Transfer-Encoding") == "chunked":
            while (size := int(self.rfile.readline().strip(), 16)) > 0:
                yield self.rfile.read(size)
                self.rfile.readline()
            while self.rfile.readline().strip():
                pass
            return
        left = int(self.headers.get("Content-Length", 0))
        while left > 0:
            piece = self.rfile.read(min(left, 1 << 16))
            if not piece:
                raise ConnectionError("the body broke off")
            left -= len(piece)
            yield piece

    def do_GET(self):
        self.note()
        path = self.path.split("?")[0]
        if path == "/socket":
            return self.socket()
        if path == "/events":
            return self.events()
        if path == "/nothing":
            self.send_response(204)
            return self.end_headers()
        if path == "/page":
            return self.answer(PAGE, "text/html")
        if path == "/script.js":
            return self.answer(SCRIPT, "text/javascript")
        if path == "/picture.svg":
            return self.answer(PICTURE, "image/svg+xml")
        if path == "/clear":
            return self.answer(PAGE, "text/html", CLEAR)
        if path == "/seen":
            return self.answer(json.dumps(SEEN).encode())
        if path.startswith("/drip/"):
            return self.drip(int(path.split("/")[2]))
        if path == "/slow":
            RELEASE.wait(60)
            RELEASE.clear()
        if path.startswith("/bytes/"):
            return self.send_bytes(int(path.split("/")[2]))
        raw = [f"{name}: {value}" for name, value in self.headers.items()]
        seen = {"path": self.path, "user": self.headers.get("X-Verified-User-Data"), "headers": raw}
        self.answer(json.dumps(seen).encode())

    do_HEAD = do_GET

    def do_POST(self):
        self.note()
        digest, length = hashlib.sha256(), 0
        for piece in self.read_body():
            digest.update(piece)
            length += len(piece)
        if self.path == "/release":
            RELEASE.set()
        self.answer(json.dumps({"sha256": digest.hexdigest(), "length": length}).encode())

    do_PUT = do_POST

    def send_bytes(self, left):
        self.send_response(200)
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Length", str(left))
        self.end_headers()
        while left > 0 and self.command != "HEAD":
            piece = ZEROS[: min(left, len(ZEROS))]
            self.wfile.write(piece)
            left -= len(piece)

    def begin_chunks(self, kind):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def chunk(self, data):
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def events(self):
        self.begin_chunks("text/event-stream")
        self.chunk(b"data: first\n\n")
        RELEASE.wait(60)
        RELEASE.clear()
        self.chunk(b"data: second\n\n")
        self.chunk(b"")

    def drip(self, count):
        self.begin_chunks("text/plain")
        for number in range(count):
            self.chunk(b"%d\n" % number)
            time.sleep(0.1)
        self.chunk(b"")

    def socket(self):
        accept = base64.b64encode(hashlib.sha1(self.headers["Sec-WebSocket-Key"].encode() + GUID).digest())
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", accept.decode())
        if "echo" in self.headers.get("Sec-WebSocket-Protocol", ""):
            self.send_header("Sec-WebSocket-Protocol", "echo")
        self.end_headers()
        self.close_connection = True
        greeting = (self.headers.get("X-Verified-User-Data") or "").encode()
        self.send_frame(0x81, greeting)
        while True:
            head = self.rfile.read(2)
            if len(head) < 2:
                return
            length = head[1] & 127
            if length == 126:
                (length,) = struct.unpack(">H", self.rfile.read(2))
            elif length == 127:
                (length,) = struct.unpack(">Q", self.rfile.read(8))
            mask = self.rfile.read(4)
            data = self.rfile.read(length)
            key = (mask * (length // 4 + 1))[:length]
            plain = (int.from_bytes(data, "big") ^ int.from_bytes(key, "big")).to_bytes(length, "big")
            kind = head[0] & 15
            self.send_frame(0x80 | (10 if kind == 9 else kind), plain)
            if kind == 8:
                return

    def send_frame(self, first, data):
        length = len(data)
        if length < 126:
            head = struct.pack(">BB", first, length)
        elif length < 1 << 16:
            head = struct.pack(">BBH", first, 126, length)
        else:
            head = struct.pack(">BBQ", first, 127, length)
        self.wfile.write(head + data)
        self.wfile.flush()


ThreadingHTTPServer.daemon_threads = True
ThreadingHTTPServer.request_queue_size = 256
ThreadingHTTPServer(("0.0.0.0", 8080), App).serve_forever()
