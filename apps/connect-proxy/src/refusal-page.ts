// A refusal as a page: self-contained, without a script, and with nothing in it that a browser would run or fetch.

import { createHash } from "node:crypto";
import { STATUS_CODES } from "node:http";
import type { RefusalAbout } from "./exchange.ts";

/** What a refusal says. */
export interface RefusalText {
  readonly code: string;
  readonly message: string;
  readonly hint: string | undefined;
  readonly requestId: string;
}

const STYLE = [
  "body{font:16px/1.5 system-ui,sans-serif;margin:0;min-height:100vh;display:grid;place-content:center;background:#f6f6f4;color:#222}",
  "main{max-width:34rem;padding:2rem}h1{font-size:1.25rem;margin:0 0 .75rem}p{margin:0 0 .75rem}",
  "small{color:#6b6b66}code{font:13px ui-monospace,monospace}",
  "@media(prefers-color-scheme:dark){body{background:#191918;color:#e8e8e4}small{color:#9b9b94}}",
].join("");

/** The page may show itself in its own style and do nothing else; `sandbox` puts it into an origin of its own. */
export const PAGE_POLICY: string = [
  "default-src 'none'",
  `style-src 'sha256-${createHash("sha256").update(STYLE).digest("base64")}'`,
  "base-uri 'none'",
  "form-action 'none'",
  "sandbox",
].join("; ");

/** The page. */
export function htmlPage(status: number, { code, hint, message, requestId }: RefusalText): string {
  const title = `${status} ${escaped(STATUS_CODES[status] ?? "")}`;
  const hintLine = hint === undefined ? "" : `<p>${escaped(hint)}</p>`;
  const request = requestId === "" ? "" : ` · request <code>${escaped(requestId)}</code>`;
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<meta name="robots" content="noindex"><title>${title}</title><style>${STYLE}</style></head>
<body><main><h1>${title}</h1><p>${escaped(message)}</p>${hintLine}<small><code>${escaped(code)}</code>${request}</small></main></body></html>
`;
}

/** Whether whoever asks wants to show a page: it prefers HTML to JSON, and no script of a page's asks. */
export function wantsHtml({ headers = [], isWebSocket }: RefusalAbout): boolean {
  if (isWebSocket === true) return false;
  const accepts: string[] = [];
  for (const [name, value] of headers) {
    const lower = name.toLowerCase();
    if (lower === "accept") accepts.push(value);
    if (lower === "sec-fetch-dest" && value === "empty") return false;
  }
  const ranges = accepts.join(",").toLowerCase().split(",");
  const html = qualityOf(ranges, "text/html");
  return html > 0 && html > qualityOf(ranges, "application/json");
}

/** How much a type is wanted, 0 to 1: by its own range (RFC 9110, section 12.5.1), else by a wider one. */
function qualityOf(ranges: readonly string[], type: string): number {
  for (const wanted of [type, `${type.slice(0, type.indexOf("/"))}/*`, "*/*"]) {
    for (const range of ranges) {
      const [name = "", ...parameters] = range.split(";").map((part) => part.trim());
      if (name !== wanted) continue;
      const quality = parameters.find((parameter) => parameter.startsWith("q="))?.slice(2);
      if (quality === undefined) return 1;
      return /^(0(\.[0-9]{0,3})?|1(\.0{0,3})?)$/.test(quality) ? Number(quality) : 0;
    }
  }
  return 0;
}

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character] ?? "");
}
