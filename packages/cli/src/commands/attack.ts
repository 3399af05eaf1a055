// `sallyport doctor --attack`: tries what hostile code would try, from inside sandboxes of this platform.
import { attack } from "../attack/attack.ts";
import { scoreLine, summaryOf } from "../attack/scorecard.ts";
import type { CliContext } from "../context.ts";
import { EXIT } from "../context.ts";
import { toJson, write } from "../output.ts";

/** Exit code 0 when every wall held. */
export async function attackPlatform(context: CliContext, json: boolean): Promise<number> {
  await using client = context.createClient();
  const scores = await attack({
    client,
    signal: context.signal,
    onBegin: (name) => {
      if (context.stderr.isTTY === true) void write(context.stderr, `\r\u001b[K${name} …`);
    },
    onScore: (score) => {
      if (json) return;
      const clear = context.stderr.isTTY === true ? "\r\u001b[K" : "";
      void write(context.stderr, clear).then(() => write(context.stdout, `${scoreLine(score)}\n`));
    },
  });
  const ok = scores.every(({ held }) => held);
  if (json) await write(context.stdout, `${toJson({ ok, scores })}\n`);
  else await write(context.stdout, `\n${summaryOf(scores)}\n`);
  return ok ? EXIT.ok : EXIT.failure;
}
