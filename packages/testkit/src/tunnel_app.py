# Servers for sandboxes that tunnels can lead to. Arguments: MODE:PORT, or MODE:PORT:TEXT.
#   echo   sends back what comes, and "bye" at its end
#   sum    reads to the end, then answers with length and SHA-256
#   first  greets before anything was said, then as echo
#   drip   sends a number each 100 ms, 30 times
#   http   answers every request with the peer's address and the text
#   h2     HTTP/2 with prior knowledge (RFC 9113): answers every request with the text; "sum": with the SHA-256 of its body
import asyncio, hashlib, struct, sys


async def echo(reader, writer, text):
    while chunk := await reader.read(65536):
        writer.write(chunk)
        await writer.drain()
    writer.write(b"bye")
    await writer.drain()
    writer.close()


async def total(reader, writer, text):
    length, digest = 0, hashlib.sha256()
    while chunk := await reader.read(65536):
        length += len(chunk)
        digest.update(chunk)
    writer.write(f"{length} {digest.hexdigest()}\n".encode())
    await writer.drain()
    writer.close()


async def first(reader, writer, text):
    writer.write(b"220 sandbox\r\n")
    await echo(reader, writer, text)


async def drip(reader, writer, text):
    for number in range(30):
        writer.write(f"{number}\n".encode())
        await writer.drain()
        await asyncio.sleep(0.1)
    writer.close()


async def http(reader, writer, text):
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            body = f"{writer.get_extra_info('peername')[0]} {text}\n".encode()
            cookie = b"".join(line + b"\n" for line in head.split(b"\r\n") if line.lower().startswith(b"cookie:"))
            body += cookie
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, SETTINGS, PING, WINDOW_UPDATE = 0, 1, 4, 6, 8
END_STREAM, ACK, END_HEADERS = 1, 1, 4


def literal(name, value):
    return bytes([0, len(name)]) + name + bytes([len(value)]) + value


async def h2(reader, writer, text):
    def frame(kind, flags, stream, payload=b""):
        writer.write(struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload)

    bodies = {}

    def answer(stream):
        digest = bodies.pop(stream, hashlib.sha256()).hexdigest()
        said = digest if text == "sum" else text
        # 0x88 is ":status: 200" (RFC 7541, appendix A).
        head = b"\x88" + literal(b"content-type", b"text/html") + literal(b"access-control-allow-origin", b"*")
        frame(HEADERS, END_HEADERS, stream, head)
        frame(DATA, END_STREAM, stream, said.encode())

    try:
        if await reader.readexactly(len(PREFACE)) != PREFACE:
            raise ConnectionError
        frame(SETTINGS, 0, 0)
        while True:
            head = await reader.readexactly(9)
            length, kind, flags = int.from_bytes(head[:3], "big"), head[3], head[4]
            stream = int.from_bytes(head[5:], "big") & 0x7FFFFFFF
            payload = await reader.readexactly(length)
            if kind == SETTINGS and not flags & ACK:
                frame(SETTINGS, ACK, 0)
            elif kind == PING and not flags & ACK:
                frame(PING, ACK, 0, payload)
            elif kind == DATA and length:
                bodies.setdefault(stream, hashlib.sha256()).update(payload)
                frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", length))
                frame(WINDOW_UPDATE, 0, stream, struct.pack(">I", length))
            if kind in (DATA, HEADERS) and flags & END_STREAM:
                answer(stream)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


MODES = {"echo": echo, "sum": total, "first": first, "drip": drip, "http": http, "h2": h2}


async def main():
    servers = []
    for argument in sys.argv[1:]:
        mode, port, *text = argument.split(":", 2)
        serve = lambda r, w, mode=mode, text=text: MODES[mode](r, w, text[0] if text else "")
        servers.append(await asyncio.start_server(serve, "0.0.0.0", int(port)))
    await asyncio.gather(*(server.serve_forever() for server in servers))


asyncio.run(main())
