// Tunnels and forwarded ports at the command line, against real protos on real sockets.
import { once } from "node:events";
import type { AddressInfo, Server, Socket } from "node:net";
import { connect, createServer } from "node:net";
import { text } from "node:stream/consumers";
import { EndReason } from "@sallyport/contracts";
import { FakePlatform } from "@sallyport/testkit/fake-platform";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { CliResult } from "../test/run-cli.ts";
import { cli } from "../test/run-cli.ts";

let platform: FakePlatform;
beforeEach(async () => {
  platform = await FakePlatform.start();
});
afterEach(() => platform[Symbol.asyncDispose]());

const run = (...argv: string[]) => cli(platform, argv);
const requests = () => [...platform.sandboxes.values()].map(({ request }) => request);
const PORTS = ["--encrypted-port", "8000", "--h2-port", "8001", "--unencrypted-port", "22", "--proxy-protocol", "22"];

describe("run", () => {
  it("declares ports, and who may come to them", async () => {
    const more = ["--encrypted-port", "8002", "--inbound-cidr", "198.51.100.0/24", "--inbound-cidr", "2001:db8::/32"];
    expect((await run("run", "-d", ...PORTS, ...more)).code).toBe(0);
    await run("run", "-d", "--block-inbound");
    await run("run", "-d");
    expect(requests()).toMatchObject([
      {
        encryptedPorts: [8_000, 8_002],
        h2Ports: [8_001],
        unencryptedPorts: [22],
        proxyProtocolPorts: [22],
        inboundCidrAllowlist: { cidrs: ["198.51.100.0/24", "2001:db8::/32"] },
      },
      { encryptedPorts: [], inboundCidrAllowlist: { cidrs: [] } },
      { encryptedPorts: [] },
    ]);
    expect(requests()[2]?.inboundCidrAllowlist).toBeUndefined();
    expect((await run("ls")).stdout).toMatch(/ PORTS .*\n(.*\n)*.* 8000\/tls,8002\/tls,8001\/h2,22\/raw\n/);
  });

  it.each([[["--encrypted-port", "http"]], [["--block-inbound", "--inbound-cidr", "198.51.100.0/24"]]])(
    "refuses what says nothing or two things: %s",
    async (options) => {
      expect((await run("run", "-d", ...options)).code).toBe(2);
      expect(requests()).toEqual([]);
    },
  );
});

describe("tunnels", () => {
  it("are a table, with a word on the authority where it is the platform's own", async () => {
    await run("run", "-d", "--name", "app", ...PORTS);
    platform.tunnels.caPem = "PEM";
    const { stdout, stderr, code } = await run("tunnels", "app");
    expect(code).toBe(0);
    const host = (port: number) => `https://tn-${String(port).padStart(26, "0")}.localhost:7443`;
    expect(stdout.split("\n")).toEqual([
      expect.stringMatching(/^PORT +KIND +URL +TCP +PROXY$/),
      expect.stringMatching(`^22 +raw +${host(22)} +127\\.0\\.0\\.2:20022 +v2$`),
      expect.stringMatching(`^8000 +tls +${host(8_000)}$`),
      expect.stringMatching(`^8001 +h2 +${host(8_001)}$`),
      "",
    ]);
    expect(stderr).toContain("sallyport ca trust");
    platform.tunnels.caPem = "";
    expect((await run("tunnels", "app")).stderr).toBe("");
  });

  it("are JSON of a stable shape", async () => {
    await run("run", "-d", "--name", "app", "--unencrypted-port", "22");
    const { stdout, stderr } = await run("tunnels", "app", "--json");
    expect(JSON.parse(stdout)).toEqual([
      {
        sandboxPort: 22,
        kind: "raw",
        host: "tn-00000000000000000000000022.localhost",
        port: 7_443,
        url: "https://tn-00000000000000000000000022.localhost:7443",
        tlsSocket: ["tn-00000000000000000000000022.localhost", 7_443],
        tcpSocket: ["127.0.0.2", 20_022],
        proxyProtocol: false,
      },
    ]);
    expect(stderr).toBe("");
  });

  it("are none where none was declared, which is said", async () => {
    await run("run", "-d", "--name", "app");
    const { stdout, stderr, code } = await run("tunnels", "app");
    expect({ code, stdout }).toEqual({ code: 0, stdout: "PORT  KIND  URL  TCP  PROXY\n" });
    expect(stderr).toContain("without ports");
  });

  it("are waited for, which is said, and given up with a reason", async () => {
    await run("run", "-d", "--name", "app", "--encrypted-port", "8000");
    platform.tunnels.edges = 0;
    const { stderr, code } = await run("tunnels", "app", "--timeout", "1500ms");
    expect(code).toBe(1);
    expect(stderr).toMatch(/^sallyport: waiting until .*\nsallyport: .*1500 ms\n {2}hint: no tunnel-edge is there: /);
  });
});

describe("forward", () => {
  let server: Server;
  const sockets = new Set<Socket>();
  beforeEach(async () => {
    server = createServer((socket) => {
      sockets.add(socket.once("close", () => sockets.delete(socket)));
      socket.pipe(socket).on("error", () => socket.destroy());
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    platform.servers.set(5_432, (server.address() as AddressInfo).port);
    await run("run", "-d", "--name", "db");
  });
  afterEach(async () => {
    await expect.poll(() => sockets.size).toBe(0);
    server.close();
  });

  /** Runs until `use` is done, and then stops it as Ctrl-C does. */
  async function forward(argv: string[], use: (stdout: string) => Promise<void>): Promise<CliResult> {
    const stop = new AbortController();
    const listening = Promise.withResolvers<string>();
    const onStdout = (shown: string) => listening.resolve(shown);
    const running = cli(platform, ["forward", ...argv], { signal: stop.signal, onStdout });
    try {
      await use(
        await Promise.race([listening.promise, running.then(({ stderr }) => Promise.reject(new Error(stderr)))]),
      );
    } finally {
      stop.abort("SIGINT");
    }
    return running;
  }

  async function echoed(port: number, host = "127.0.0.1"): Promise<string> {
    const socket = connect({ host, port, allowHalfOpen: true });
    socket.end("hello");
    return text(socket);
  }

  it("leads where it says, several at once, until Ctrl-C cuts what it carries", async () => {
    let open: Socket | undefined;
    const result = await forward(["db", "0:5432", "[::1]:0:5432"], async (stdout) => {
      const [, first, second] = /^127\.0\.0\.1:(\d+) -> 5432\n\[::1\]:(\d+) -> 5432\n$/.exec(stdout) ?? [];
      expect(await echoed(Number(first))).toBe("hello");
      expect(await echoed(Number(second), "::1")).toBe("hello");
      open = connect({ host: "127.0.0.1", port: Number(first) });
      open.on("error", () => open?.destroy());
      open.write("x");
      await once(open, "data");
    });
    expect(result).toMatchObject({ code: 130, stderr: "" });
    await expect.poll(() => open?.destroyed).toBe(true);
  });

  it("tells its ports as one line of JSON", async () => {
    await forward(["db", "0:5432", "--json"], async (stdout) => {
      const [one] = JSON.parse(stdout) as [{ port: number }];
      expect(one).toEqual({ sandboxPort: 5_432, host: "127.0.0.1", port: expect.any(Number) as number });
      expect(await echoed(one.port)).toBe("hello");
    });
  });

  it("says why a connection failed, and goes on", async () => {
    const { stderr } = await forward(["db", "0:5433", "0:5432"], async (stdout) => {
      const [bad, good] = [...stdout.matchAll(/:(\d+) ->/g)].map(([, port]) => Number(port));
      await expect(echoed(bad ?? 0)).rejects.toThrow("ECONNRESET");
      expect(await echoed(good ?? 0)).toBe("hello");
    });
    expect(stderr).toBe("sallyport: port: the fake platform says FailedPrecondition\n");
  });

  it("ends with the sandbox", async () => {
    const stop = new AbortController();
    const running = cli(platform, ["forward", "db", "0:5432"], {
      signal: stop.signal,
      onStdout: () => {
        for (const sandbox of platform.sandboxes.values()) sandbox.end({ reason: EndReason.TERMINATED, exitCode: 137 });
      },
    });
    expect(await running).toMatchObject({ code: 1, stderr: expect.stringMatching(/sb-\w+ has ended\n$/) as string });
  });

  it("says which port of this machine is taken", async () => {
    const { port } = server.address() as AddressInfo;
    const { code, stderr } = await run("forward", "db", `${port}:5432`);
    expect(code).toBe(1);
    expect(stderr).toContain(`127.0.0.1:${port} of this machine cannot be listened at (EADDRINUSE)`);
  });

  it.each(["", "x", "1:2:3:4", "0", "65536", "70000:1", ":1", "[::1:2:3", "1:"])("refuses %j", async (spec) => {
    expect((await run("forward", "db", spec)).code).toBe(2);
  });
});
