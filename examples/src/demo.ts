// `npm run demo`: starts the platform with the commands that a user has, runs the examples as a user would, checks what
// they print, and stops the platform. Each step is shown with its result and time.
import type { ChildProcess } from "node:child_process";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { fileURLToPath } from "node:url";
import type { PlatformPorts } from "@sallyport/testkit/platform";
import { freePorts } from "@sallyport/testkit/platform";
import type { TargetNetwork } from "@sallyport/testkit/target-network";
import { startTargetNetwork } from "@sallyport/testkit/target-network";

interface Example {
  readonly file: string;
  readonly title: string;
  /** Each must be found in what the example prints. */
  expects(target: TargetNetwork): readonly string[];
}

const EXAMPLES: readonly Example[] = [
  { file: "hello.ts", title: "create a sandbox and run a program in it", expects: () => ["says 42"] },
  {
    file: "stream.ts",
    title: "exec, stream output and input",
    expects: () => ["line 3", "exit code 5", "to the sandbox's own command"],
  },
  { file: "own-kernel.ts", title: "dmesg: gVisor's kernel, not the host's", expects: () => ["Starting gVisor"] },
  {
    file: "block-network.ts",
    title: "blockNetwork lets nothing out",
    expects: (target) => [`${target.insideIpv4}: not reached`, `${target.insideIpv6}: not reached`],
  },
  {
    file: "allow-list.ts",
    title: "an allow list lets exactly its CIDRs out",
    expects: (target) => [
      `${target.insideIpv4}: reached`,
      `${target.outsideIpv4}: not reached`,
      `${target.insideIpv6}: reached`,
      `${target.outsideIpv6}: not reached`,
    ],
  },
  {
    file: "connect.ts",
    title: "a connect token opens one port to HTTP and WebSocket",
    expects: () => [
      'HTTP 200: /hello?to=you by {"user_id":"foo"}, authorization: none',
      "WebSocket: Hello world!",
      "revoked: HTTP 401",
    ],
  },
  {
    file: "tunnel.ts",
    title: "tunnels: public addresses of ports, over TLS and in plain TCP",
    expects: () => ["Connecting to https://tn-", "HTTP 200: Directory listing for /etc/", "says HTTP/1.0 200 OK"],
  },
  {
    file: "tunnel-http2.ts",
    title: "a tunnel that speaks HTTP/2",
    expects: () => ["Tunnel URL: https://tn-", "HTTP 200: HTTP/2 from a sandbox"],
  },
  {
    file: "forward.ts",
    title: "a port of this machine that leads into a sandbox",
    expects: () => ["HTTP 200 by 127.0.0.1: Directory listing for /etc/"],
  },
  {
    file: "walls.ts",
    title: "host and other sandboxes are out of reach",
    expects: (target) => [
      `the host, ${target.hostIpv4}: not reached`,
      "metadata, 169.254.169.254: not reached",
      "another sandbox, 100.",
    ],
  },
];

const SALLYPORT = "/opt/sallyport/current/bin/sallyport";
const HOME = process.env["SALLYPORT_HOME"] ?? "/var/lib/sallyport-demo";
/** Examples that run at the same time. */
const AT_ONCE = 3;
const keep = process.argv.includes("--keep");
const interrupted = new AbortController();
for (const name of ["SIGINT", "SIGTERM"] as const) process.once(name, () => interrupted.abort(new Error(name)));

process.exitCode = await demo();

async function demo(): Promise<number> {
  const [api, io, apiHttp, ioHttp, edges] = await portsFor([7350, 7351, 7352, 7353, 7443]);
  const env = {
    ...process.env,
    SALLYPORT_HOME: HOME,
    SALLYPORT_API_LISTEN: `127.0.0.1:${api}`,
    SALLYPORT_IO_LISTEN: `127.0.0.1:${io}`,
    SALLYPORT_API_HTTP_LISTEN: `127.0.0.1:${apiHttp}`,
    SALLYPORT_IO_HTTP_LISTEN: `127.0.0.1:${ioHttp}`,
    SALLYPORT_TUNNEL_LISTEN: `127.0.0.1:${edges}`,
    SALLYPORT_TUNNEL_RAW_ADDRESS: "127.0.0.3", // a platform that runs here already has 127.0.0.2
    SALLYPORT_API_URL: `http://127.0.0.1:${api}`,
  };
  let failures = 0;
  let up = false;
  const target = await step(
    "make a network with targets beside the machine (198.51.100.0/24, 2001:db8:51::/64)",
    startTargetNetwork,
  );
  try {
    await step("start the platform: sallyport up", () => sallyport(["up", "--home", HOME], env));
    up = true;
    const token = await step("make an API token: sallyport api-token create", async () => {
      const answer = await sallyport(
        ["api-token", "create", "--home", HOME, "--workspace", "default", "--name", "demo", "--json"],
        env,
      );
      return (JSON.parse(answer) as { token: string }).token;
    });
    const exampleEnv = { ...env, SALLYPORT_TOKEN: token, ...targetEnv(target) };
    const runs = startExamples(exampleEnv);
    for (const [index, example] of EXAMPLES.entries()) {
      try {
        await step(`${example.file}: ${example.title}`, async () => {
          const result = await runs[index];
          if (result === undefined) throw new Error("was not run");
          if (result.error !== undefined) throw result.error;
          const { printed, seconds } = result;
          for (const line of printed.trim().split("\n")) say(`      ${line}`);
          say(`      (ran ${seconds} s beside the others)`);
          const missing = example.expects(target).filter((text) => !printed.includes(text));
          if (missing.length > 0) throw new Error(`expected to see: ${missing.join(" · ")}`);
        });
      } catch (error) {
        if (interrupted.signal.aborted) throw error;
        failures += 1;
      }
    }
    if (keep) {
      say(`\nThe platform stays up. Use it:\n`);
      say(`  export SALLYPORT_API_URL=${env.SALLYPORT_API_URL}`);
      say(
        `  export SALLYPORT_TOKEN=$(${SALLYPORT} api-token create --home ${HOME} --workspace default --name me --json | sed -n 's/.*"token": *"\\([^"]*\\)".*/\\1/p')`,
      );
      say(`  ${SALLYPORT} run -- python3 -c 'print("hello")'`);
      say(`  curl -H "Authorization: Bearer $SALLYPORT_TOKEN" http://127.0.0.1:${apiHttp}/v1/sandboxes`);
      say(`\nEnd it, and every sandbox with it: ${SALLYPORT} down --home ${HOME}`);
    }
  } catch (error) {
    failures += 1;
    if (interrupted.signal.aborted) say("interrupted");
    else if (!(error instanceof StepFailed)) say(String(error));
  }
  if (up && !(keep && failures === 0)) {
    try {
      await step("stop the platform: sallyport down", () =>
        sallyport(["down", "--home", HOME], env, new AbortController().signal),
      );
    } catch {
      failures += 1;
    }
  }
  await target[Symbol.asyncDispose]();
  say(failures === 0 ? "\nAll steps went well." : `\n${failures} step(s) failed.`);
  return failures === 0 ? 0 : 1;
}

interface ExampleRun {
  readonly printed: string;
  readonly seconds: string;
  readonly error?: Error;
}

/** Starts the examples, a few at a time: most of their time is waiting for what must not be reached. Never rejects. */
function startExamples(env: NodeJS.ProcessEnv): readonly Promise<ExampleRun>[] {
  const lanes: Promise<unknown>[] = Array.from({ length: AT_ONCE }, () => Promise.resolve());
  return EXAMPLES.map(({ file }, index) => {
    const lane = index % AT_ONCE;
    const example = (lanes[lane] ?? Promise.resolve()).then(async (): Promise<ExampleRun> => {
      const startedAt = performance.now();
      const seconds = () => ((performance.now() - startedAt) / 1000).toFixed(1);
      try {
        const printed = await run(process.execPath, [fileURLToPath(new URL(file, import.meta.url))], env);
        return { printed, seconds: seconds() };
      } catch (error) {
        return { printed: "", seconds: seconds(), error: error instanceof Error ? error : new Error(String(error)) };
      }
    });
    lanes[lane] = example;
    return example;
  });
}

class StepFailed extends Error {}

async function step<T>(title: string, work: () => Promise<T>): Promise<T> {
  const startedAt = performance.now();
  const seconds = () => `${((performance.now() - startedAt) / 1000).toFixed(1)} s`;
  say(`  … ${title}`);
  const beat = setInterval(() => say(`      still at it, ${seconds()}`), 2_000);
  try {
    const result = await work();
    say(`  ✓ ${title}  (${seconds()})`);
    return result;
  } catch (error) {
    say(`  ✗ ${title}  (${seconds()})\n      ${error instanceof Error ? error.message : String(error)}`);
    throw new StepFailed(title, { cause: error });
  } finally {
    clearInterval(beat);
  }
}

function sallyport(args: readonly string[], env: NodeJS.ProcessEnv, signal = interrupted.signal): Promise<string> {
  return run(SALLYPORT, args, env, signal);
}

async function run(
  program: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv,
  signal = interrupted.signal,
): Promise<string> {
  const child: ChildProcess = spawn(program, args, { env, stdio: ["ignore", "pipe", "pipe"], signal });
  let stdout = "";
  let stderr = "";
  child.stdout?.on("data", (chunk: Buffer) => {
    stdout += chunk.toString();
  });
  child.stderr?.on("data", (chunk: Buffer) => {
    stderr += chunk.toString();
  });
  const [code] = (await once(child, "close")) as [number | null];
  if (code !== 0)
    throw new Error(`${program} ${args[0] ?? ""} ended with ${code}\n${(stderr || stdout).trim().slice(-3_000)}`);
  return stdout;
}

function targetEnv(target: TargetNetwork): Record<string, string> {
  return {
    TARGET_INSIDE: target.insideIpv4,
    TARGET_OUTSIDE: target.outsideIpv4,
    TARGET_CIDR: target.allowedIpv4,
    TARGET_INSIDE_IPV6: target.insideIpv6,
    TARGET_OUTSIDE_IPV6: target.outsideIpv6,
    TARGET_CIDR_IPV6: target.allowedIpv6,
    TARGET_HOST: target.hostIpv4,
    TARGET_PORT: String(target.port),
  };
}

/** The usual ports when they are free, others otherwise. */
async function portsFor(wanted: PlatformPorts): Promise<PlatformPorts> {
  const isFree = (port: number) =>
    new Promise<boolean>((resolve) => {
      const server = createServer();
      server.once("error", () => resolve(false));
      server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
    });
  for (const port of wanted) if (!(await isFree(port))) return await freePorts();
  return wanted;
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
