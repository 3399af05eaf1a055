// GatewayControlService: what the worker of this machine asks for. Reached by root alone, through the socket's mode.
import { isIP } from "node:net";
import { AppError, invalidArgument } from "@sallyport/appkit/errors";
import type { BoundService } from "@sallyport/appkit/service";
import { bindService } from "@sallyport/appkit/service";
import { ENTRYPOINT_EXEC_ID, isId } from "@sallyport/contracts";
import { GatewayControlServiceService } from "@sallyport/contracts/grpc";
import type { AttachOptions, Instances } from "./instances.ts";
import { MAX_ATTACH_WAIT_MS } from "./limits.ts";
import { argvOf, envList, envOf, fingerprintOf, mustBeWithin, ptyOf, workdirOf } from "./validate.ts";

const SECRET_BYTES = 32;

/** The handlers, bound. */
export function controlService(instances: Instances): BoundService {
  return bindService(GatewayControlServiceService, {
    async attachInstance(request, { signal }) {
      const waitMs = mustBeWithin("wait_ms", request.waitMs, 0, MAX_ATTACH_WAIT_MS);
      const deadline = AbortSignal.timeout(waitMs);
      try {
        await instances.attach(attachOptionsOf(request), AbortSignal.any([signal, deadline]));
      } catch (error) {
        if (error !== deadline.reason) throw error;
        throw new AppError("Unavailable", `init did not answer within ${waitMs} ms`);
      }
      return {};
    },

    async startEntrypoint(request, { signal }) {
      const instance = instances.get(request.instanceId);
      const command = {
        execId: ENTRYPOINT_EXEC_ID,
        argv: argvOf(request.command),
        env: envList(envOf(request.env)),
        workdir: workdirOf(request.workdir),
        stdin: true,
        pty: ptyOf(request.pty, "pty"),
      };
      await instance.connected(signal);
      const { env, pty, workdir } = request;
      const fingerprint = fingerprintOf({ command: request.command, env, workdir, pty }, true, undefined);
      await instance.processes.start({ command, fingerprint, lifetimeMs: undefined }, signal);
      return {};
    },

    async openInstance(request) {
      const instance = instances.get(request.instanceId);
      instance.open({ env: envOf(request.env), workdir: workdirOf(request.workdir) });
      return {};
    },

    async detachInstance(request) {
      await instances.detach(request.instanceId);
      return {};
    },

    async suspendInstance(request) {
      instances.get(request.instanceId).suspend(request.force);
      return {};
    },

    async resumeInstance(request) {
      instances.get(request.instanceId).resume();
      return {};
    },

    watchInstances: (_request, { signal }) => instances.watch(signal),
  });
}

interface AttachParts {
  readonly instanceId: string;
  readonly sandboxId: string;
  readonly generation: number;
  readonly ipv4: string;
  readonly ipv6: string;
  readonly initSecret: Uint8Array;
  readonly asleep: boolean;
}

function attachOptionsOf(request: AttachParts): AttachOptions {
  const { asleep, generation, initSecret, instanceId, ipv4, ipv6, sandboxId } = request;
  if (!isId("instance", instanceId)) throw invalidArgument("instance_id", "is no instance id");
  if (!isId("sandbox", sandboxId)) throw invalidArgument("sandbox_id", "is no sandbox id");
  if (isIP(ipv4) !== 4) throw invalidArgument("ipv4", "is no IPv4 address");
  if (ipv6 !== "" && isIP(ipv6) !== 6) throw invalidArgument("ipv6", "is no IPv6 address");
  if (initSecret.length !== SECRET_BYTES) throw invalidArgument("init_secret", `must be ${SECRET_BYTES} bytes`);
  const addresses = ipv6 === "" ? [ipv4] : [ipv4, ipv6];
  // A copy: the message's bytes are a view of a network buffer.
  return { instanceId, sandboxId, generation, asleep, addresses, secret: Uint8Array.from(initSecret) };
}
