"""A program of a user's who has no SDK: a whole life of a sandbox over REST, with what Debian's Python has.

Takes the base URL in SALLYPORT_REST_URL and the API token in SALLYPORT_TOKEN; prints one JSON object with what it saw.
"""

import base64
import json
import os
import uuid

import requests

TIMEOUT_S = 60


class Rest:
    """One base URL with one bearer token."""

    def __init__(self, url, token):
        self.url = url
        self.session = requests.Session()
        self.session.headers["Authorization"] = f"Bearer {token}"

    def call(self, verb, path, **options):
        return self.session.request(verb, self.url + path, timeout=TIMEOUT_S, **options)

    def ask(self, verb, path, **options):
        """The JSON of an answer that must be a good one."""
        answer = self.call(verb, path, **options)
        if answer.status_code != 200:
            raise AssertionError(f"{verb} {path}: {answer.status_code} {answer.text}")
        return answer.json()

    def events(self, path, **options):
        """Server-sent events: (name, id, data)."""
        with self.call("GET", path, stream=True, **options) as answer:
            if answer.status_code != 200:
                raise AssertionError(f"GET {path}: {answer.status_code} {answer.text}")
            fields = {}
            for line in answer.iter_lines(decode_unicode=True):
                if line == "":
                    if "data" in fields:
                        yield fields.get("event"), fields.get("id"), json.loads(fields["data"])
                    fields = {}
                elif not line.startswith(":"):
                    name, _, value = line.partition(": ")
                    fields[name] = value


def output_of(gateway, exec_id, after=None):
    """Everything that a process wrote, read to its end."""
    headers = {} if after is None else {"Last-Event-ID": after}
    text = b""
    path = f"/v1/processes/{exec_id}/output"
    for name, _, data in gateway.events(path, params={"stream": "stdout", "follow": "true"}, headers=headers):
        if name == "chunk":
            text += base64.b64decode(data["chunk"]["data"])
    return text.decode()


def main():
    seen = {}
    api = Rest(os.environ["SALLYPORT_REST_URL"], os.environ["SALLYPORT_TOKEN"])

    made = api.ask(
        "POST",
        "/v1/sandboxes",
        json={"idempotencyKey": str(uuid.uuid4()), "name": "from-python", "tags": {"by": "requests"}, "waitMs": 0},
    )
    sandbox = made["sandbox"]["id"]
    path = f"/v1/sandboxes/{sandbox}"
    # Waits by following what happens, as a program without an SDK would.
    for _, _, data in api.events(f"{path}/events", params={"follow": "true"}):
        if data["event"]["type"] == "started":
            break
    seen["state"] = api.ask("GET", path)["sandbox"]["state"]
    seen["listed"] = [one["id"] == sandbox for one in api.ask("GET", "/v1/sandboxes?tags[by]=requests")["sandboxes"]]

    access = api.ask("POST", f"{path}/io-access")["ioAccess"]
    gateway = Rest(access["url"], access["token"])
    script = "echo hello from $(uname -s); echo to stderr >&2; exit 3"
    gateway.ask("POST", "/v1/processes", json={"execId": "first", "command": {"argv": ["sh", "-c", script]}})
    outcome = gateway.ask("POST", "/v1/processes/first/wait", json={"waitMs": 30000})["outcome"]
    seen["exitCode"] = outcome["exitCode"]
    seen["output"] = output_of(gateway, "first")
    seen["outputAfter6"] = output_of(gateway, "first", after="6")
    octets = {"Accept": "application/octet-stream"}
    errors = gateway.call("GET", "/v1/processes/first/output", params={"stream": "stderr"}, headers=octets)
    seen["errors"] = errors.content.decode()

    upload = os.urandom(3 * 1024 * 1024 + 5)
    sent = gateway.call(
        "PUT",
        "/v1/files",
        params={"path": "/srv/upload"},
        data=upload,
        headers={"Content-Type": "application/octet-stream"},
    )
    seen["sent"] = [sent.status_code, sent.json()["acceptedOffset"] == str(len(upload))]
    counted = {"execId": "count", "command": {"argv": ["sh", "-c", "wc -c < /srv/upload"]}}
    gateway.ask("POST", "/v1/processes", json=counted)
    seen["counted"] = output_of(gateway, "count").strip() == str(len(upload))
    download = gateway.call("GET", "/v1/files/content", params={"path": "/srv/upload"}, headers=octets)
    seen["same"] = download.content == upload
    seen["file"] = gateway.ask("GET", "/v1/files/stat", params={"path": "/srv/upload"})["file"]["type"]

    refused = api.call("POST", "/v1/sandboxes", json={"idempotencyKey": "x", "cpuMillis": 1})
    problem = refused.json()
    seen["problem"] = {
        "status": refused.status_code,
        "type": refused.headers["Content-Type"],
        "named": problem["requestId"] == refused.headers["X-Request-Id"],
        **{name: problem[name] for name in ("code", "field", "retryable")},
    }

    ended = api.ask("POST", f"{path}/terminate", json={"waitMs": 30000})["sandbox"]
    seen["ended"] = [ended["state"], ended["outcome"]["reason"]]
    seen["events"] = [data["event"]["type"] for _, _, data in api.events(f"{path}/events")]
    gone = gateway.call("POST", "/v1/processes", json={"execId": "late", "command": {"argv": ["true"]}})
    seen["gone"] = [gone.status_code, gone.json()["code"]]
    print(json.dumps(seen))


main()
