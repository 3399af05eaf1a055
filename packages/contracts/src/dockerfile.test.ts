// What a Dockerfile may say, and what the engine gets to see of it.
import { describe, expect, it } from "vitest";
import { checkDockerfile, parseImageReference } from "./images.ts";

function rendered(text: string, ids: Record<string, string> = {}): string {
  const checked = checkDockerfile(text);
  if (!checked.ok) throw new Error(`line ${checked.line}: ${checked.problem}`);
  const known = checked.bases.map((base) => [base, ids[base] ?? "sha256:base"] as const);
  return checked.render(new Map(known));
}

function refused(text: string): string {
  const checked = checkDockerfile(text);
  return checked.ok ? "accepted" : `${checked.line}: ${checked.problem}`;
}

const REFUSED: readonly (readonly [text: string, why: string])[] = [
  ["", "0: has no FROM"],
  ["# only a comment", "0: has no FROM"],
  ["RUN true", "1: RUN before FROM"],
  ["FROM a\nADD http://example.com/x /x", "2: ADD of an address"],
  ["FROM a\nadd HTTPS://example.com/x /x", "2: ADD of an address"],
  ['FROM a\nADD ["http://example.com/x", "/x"]', "2: ADD of an address"],
  ["FROM a\nADD --chown=1:1 http://example.com/x /x", "2: ADD of an address"],
  ["FROM a\nADD \\\n  # a comment\n  http://example.com/x /x", "2: ADD of an address"],
  ["FROM a\nADD git@example.com:a/b.git /x", "2: ADD of an address"],
  ["FROM a\nADD ftp://example.com/x /x", "2: ADD of an address"],
  ["FROM a\nADD github.com/a/b /x", "2: ADD of an address"],
  ["FROM a\nENV U=http\nADD $U /x", "3: ADD takes no variables"],
  ["FROM a\nADD $\u007bU:-http}://x /x", "2: ADD of an address"],
  ['FROM a\nADD ht"tp:"//x /x', "2: ADD takes plain paths"],
  ["FROM a\nADD ht\\tp:/x /x", "2: ADD takes no variables"],
  ['FROM a\nADD ["a"', "2: ADD takes plain paths"],
  ["FROM a\nADD --checksum=sha256:0 x /x", "2: ADD"],
  ["FROM a\nONBUILD ADD x /x", "2: ONBUILD"],
  ["FROM a\nonbuild RUN true", "2: ONBUILD"],
  ["FROM a\nRUN --mount=type=bind,target=/x true", "2: RUN takes no flags"],
  ["FROM a\nRUN --network=host true", "2: RUN takes no flags"],
  ["FROM a\nRUN cat <<EOF\nhello\nEOF", "2: RUN with a here-document"],
  ["FROM a\nRUN <<-'EOF' cat\nx\nEOF", "2: RUN with a here-document"],
  ["FROM a\nCOPY <<EOF /x\nhello\nEOF", "2: COPY with a here-document"],
  ["FROM a\nCOPY --from=nginx /etc/passwd /x", "2: COPY --from"],
  ["FROM a\nCOPY --from=0 /x /x", "2: COPY --from"],
  ["FROM a\nCOPY --chmod=755 x /x", '2: COPY "--chmod"'],
  ["FROM a\nCOPY --link x /x", '2: COPY "--link"'],
  ["FROM --platform=linux/arm64 a", "1: FROM takes no flags"],
  ["FROM http://example.com/context", "1: FROM"],
  ["FROM a b", "1: FROM must be"],
  ["FROM $X", "1: FROM uses an ARG"],
  ["ARG X\nFROM $\u007bX:-a}", "2: FROM may use"],
  ["ARG X='a'\nFROM $X", "1: before FROM, ARG"],
  ["FROM UPPER/case", "1: FROM"],
  [`FROM ${"0".repeat(64)}`, "1: FROM"],
  ["# escape=`\nFROM a", "1: another escape"],
  ["FROM a\nRUN true \\\\", "2: ends with a backslash"],
  ["FROM a\nRUN", "2: RUN without"],
  ["FROM a\nEOF", "2: EOF is no instruction"],
  ["FROM a\n=x", "2: does not begin"],
  ["FROM a\nRUN a\rADD b /", "2: holds a control"],
  ["FROM a\nRUN a\0b", "2: holds a control"],
  ["FROM a\nRUN a\u2028b", "2: holds a control"],
  [`FROM a\n${"RUN true\n".repeat(600)}`, "0: has more than"],
  [`FROM a\nRUN ${"x".repeat(300_000)}`, "0: has more than"],
];

describe("checkDockerfile", () => {
  it.each(REFUSED)("refuses %j", (text, why) => {
    expect(refused(text)).toContain(why);
  });

  it("writes what is left anew, bases by their ids", () => {
    const text = `# syntax=docker/dockerfile:1
# escape=\\
ARG TAG=3.12
from python:\${TAG} as Build
  # a comment
RUN apt-get update && \\
    # within
\\

    apt-get install -y gcc
VOLUME /data
HEALTHCHECK CMD true
MAINTAINER somebody
FROM build
COPY --from=build --chown=1:1 /a "/b c"
COPY --from=0 /a /b
ADD local.tar /x
FROM scratch
CMD ["a", "b"]
`;
    expect(rendered(text, { "docker.io/library/python:3.12": "sha256:abc" })).toBe(`ARG TAG=3.12
FROM sha256:abc AS Build
RUN apt-get update &&     apt-get install -y gcc
FROM build
COPY --from=build --chown=1:1 /a "/b c"
COPY --from=0 /a /b
ADD local.tar /x
FROM scratch
CMD ["a", "b"]
`);
  });

  it("says what it drops", () => {
    const checked = checkDockerfile("FROM a\nVOLUME /x");
    expect(checked).toMatchObject({ ok: true, dropped: ["line 2: VOLUME has no meaning here and is left out"] });
  });

  it("takes line ends of Windows, and a byte-order mark", () => {
    expect(rendered("\ufeffFROM a\r\nRUN a \\\r\n b\r\n")).toBe("FROM sha256:base\nRUN a  b\n");
  });

  it("never throws, and never renders a line that is read as another instruction", () => {
    const pieces = [
      "FROM a",
      "RUN x",
      "\n",
      "\\",
      "\\\n",
      "#",
      " ",
      "\t",
      "ADD http://x /",
      "\\\\\n",
      "COPY a /",
      "$",
      '"',
    ];
    let seed = 7;
    const random = (below: number) => {
      seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
      return seed % below;
    };
    for (let round = 0; round < 5_000; round += 1) {
      const text = `FROM a\n${Array.from({ length: random(9) }, () => pieces[random(pieces.length)]).join("")}`;
      const checked = checkDockerfile(text);
      if (!checked.ok) continue;
      const lines = checked
        .render(new Map(checked.bases.map((base) => [base, "sha256:base"])))
        .trimEnd()
        .split("\n");
      for (const line of lines) {
        expect(line).toMatch(/^(FROM|RUN|COPY|ADD) \S/);
        expect(line).not.toMatch(/\\[ \t]*$/);
        expect(line).not.toMatch(/^ADD .*http/);
      }
    }
  });
});

describe("parseImageReference", () => {
  it.each([
    ["python", "docker.io/library/python:latest"],
    ["python:3.12", "docker.io/library/python:3.12"],
    ["team/app", "docker.io/team/app:latest"],
    ["docker.io/python", "docker.io/library/python:latest"],
    ["registry.example.com/a/b:c", "registry.example.com/a/b:c"],
    ["localhost/a", "localhost/a:latest"],
    ["198.51.100.10:5000/a/b", "198.51.100.10:5000/a/b:latest"],
    [`a@sha256:${"0".repeat(64)}`, `docker.io/library/a@sha256:${"0".repeat(64)}`],
  ])("writes %s out", (text, canonical) => {
    expect(parseImageReference(text)?.canonical).toBe(canonical);
  });

  it.each([
    "",
    "UPPER",
    "a b",
    "a:",
    "a@sha256:0",
    "http://a/b",
    "../a",
    "a/../b",
    "a//b",
    "-a",
    "a:b:c",
    "a/",
    "/a",
    "x.y:99999/a",
  ])("refuses %j", (text) => {
    expect(parseImageReference(text)).toBeUndefined();
  });
});
