"""Programs of a user's who has no SDK: requests and websockets, as Debian packages them, against a sandbox's app.

Takes URL, token and the file of trusted certificates in SANDBOX_URL, SANDBOX_TOKEN and SANDBOX_CA; prints one JSON object
with what it saw.
"""

import asyncio
import hashlib
import json
import os
import ssl

import requests
import websockets

TIMEOUT_S = 30
URL = os.environ["SANDBOX_URL"]
TOKEN = os.environ["SANDBOX_TOKEN"]
CA = os.environ["SANDBOX_CA"]
BEARER = {"Authorization": f"Bearer {TOKEN}"}


def session(**headers):
    one = requests.Session()
    one.verify = CA
    one.headers.update(headers)
    return one


def over_http(seen):
    by_header = session(**BEARER)
    who = by_header.get(f"{URL}/who?a=1", timeout=TIMEOUT_S).json()
    seen["header"] = [who["user"], who["path"]]
    seen["hidden"] = TOKEN not in json.dumps(who)

    by_query = session()
    first = by_query.get(f"{URL}/who", params={"_modal_connect_token": TOKEN, "b": "2"}, timeout=TIMEOUT_S)
    seen["query"] = [first.status_code, first.json()["user"], first.json()["path"]]
    seen["cookies"] = sorted(by_query.cookies.keys())
    second = by_query.get(f"{URL}/who", timeout=TIMEOUT_S)
    seen["cookie"] = [second.status_code, second.json()["user"], TOKEN not in second.text]

    nobody = session().get(f"{URL}/who", timeout=TIMEOUT_S)
    seen["nobody"] = [nobody.status_code, nobody.json()["code"], nobody.headers["WWW-Authenticate"].split(" ")[0]]
    wrong = session(Authorization="Bearer nonsense").get(f"{URL}/who", timeout=TIMEOUT_S)
    seen["wrong"] = wrong.status_code

    head = by_header.head(f"{URL}/bytes/1000", timeout=TIMEOUT_S)
    seen["head"] = [head.status_code, head.headers["Content-Length"], len(head.content)]
    nothing = by_header.get(f"{URL}/nothing", timeout=TIMEOUT_S)
    seen["nothing"] = [nothing.status_code, len(nothing.content)]

    body = os.urandom(3 * 1024 * 1024 + 5)
    digest = hashlib.sha256(body).hexdigest()
    seen["upload"] = by_header.put(f"{URL}/sum", data=body, timeout=TIMEOUT_S).json() == {
        "sha256": digest,
        "length": len(body),
    }
    pieces = (body[at : at + 100_000] for at in range(0, len(body), 100_000))
    seen["chunks"] = by_header.post(f"{URL}/sum", data=pieces, timeout=TIMEOUT_S).json()["sha256"] == digest
    seen["download"] = len(by_header.get(f"{URL}/bytes/5000000", timeout=TIMEOUT_S).content)

    # The second event waits for a request of ours: whoever keeps the first one back never gets here.
    with session(**BEARER).get(f"{URL}/events", stream=True, timeout=TIMEOUT_S) as stream:
        lines = stream.iter_lines(decode_unicode=True, chunk_size=1)
        seen["events"] = [next(lines)]
        by_header.post(f"{URL}/release", timeout=TIMEOUT_S)
        seen["events"] += [line for line in lines if line != ""]


async def over_websocket(seen):
    trust = ssl.create_default_context(cafile=CA)
    url = URL.replace("https://", "wss://") + "/socket"
    async with websockets.connect(url, ssl=trust, extra_headers=BEARER, subprotocols=["other", "echo"]) as socket:
        greeting = await socket.recv()
        await socket.send("hello")
        echoed = await socket.recv()
        big = os.urandom(300_000)
        await socket.send(big)
        seen["socket"] = [greeting, echoed, await socket.recv() == big, socket.subprotocol]
    async with websockets.connect(f"{url}?_connect_token={TOKEN}", ssl=trust) as socket:
        seen["socketByQuery"] = await socket.recv()
    try:
        async with websockets.connect(url, ssl=trust):
            seen["socketOfNobody"] = "opened"
    except websockets.exceptions.InvalidStatusCode as refusal:
        seen["socketOfNobody"] = refusal.status_code
    try:
        async with websockets.connect(url, ssl=trust, extra_headers={"Cookie": f"_connect_token={TOKEN}"}, origin="https://evil.example"):
            seen["hijacked"] = "opened"
    except websockets.exceptions.InvalidStatusCode as refusal:
        seen["hijacked"] = refusal.status_code


def main():
    seen = {}
    over_http(seen)
    asyncio.run(asyncio.wait_for(over_websocket(seen), TIMEOUT_S))
    print(json.dumps(seen))


main()
