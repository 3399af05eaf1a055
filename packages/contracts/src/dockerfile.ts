// What a Dockerfile may say here. It is read conservatively and written anew, instruction by instruction, so that an
// engine never gets to see a text that it might read otherwise than this.
import { parseImageReference } from "./image-reference.ts";

/** Bounds of a Dockerfile. */
export const DOCKERFILE_LIMITS: Readonly<Record<"bytes" | "instructions" | "stages", number>> = {
  bytes: 256 * 1024,
  instructions: 500,
  stages: 50,
};

/** Why a Dockerfile is refused. */
export interface DockerfileFault {
  readonly ok: false;
  /** Counted from 1; 0: the text as a whole. */
  readonly line: number;
  readonly problem: string;
  readonly hint?: string;
}

export interface DockerfileInstruction {
  /** In capitals. */
  readonly name: string;
  /** What follows, on one line. */
  readonly rest: string;
  readonly line: number;
}

/** A Dockerfile that may be built. */
export interface CheckedDockerfile {
  readonly ok: true;
  /** References of the images that it starts from, each once; "scratch" and its own stages are none. */
  readonly bases: readonly string[];
  /** In words, what is left out of it. */
  readonly dropped: readonly string[];
  /** The text for the engine; `baseIds` names each base by what it has become there. */
  render(baseIds: ReadonlyMap<string, string>): string;
}

/** Reads a Dockerfile. Never throws. */
export function checkDockerfile(text: string): CheckedDockerfile | DockerfileFault {
  try {
    return new Reader(text).read();
  } catch (error) {
    if (error instanceof Refusal) return error.fault;
    throw error;
  }
}

class Refusal extends Error {
  override readonly name = "Refusal";
  readonly code = "Refused" as const;
  readonly fault: DockerfileFault;

  constructor(line: number, problem: string, hint?: string) {
    super(problem);
    this.fault = { ok: false, line, problem, ...(hint === undefined ? {} : { hint }) };
  }
}

const BUILDKIT = "the classic builder makes images here: features of BuildKit are not to be had";
/** Kept as they are; the others have a judge of their own. */
const PLAIN = new Set(["CMD", "LABEL", "EXPOSE", "ENV", "ENTRYPOINT", "USER", "WORKDIR", "STOPSIGNAL", "SHELL"]);
const DROPPED = new Set(["VOLUME", "HEALTHCHECK", "MAINTAINER"]);

interface Stage {
  readonly alias: string | undefined;
  /** The base's reference; undefined for scratch and for a stage of this Dockerfile. */
  readonly base: string | undefined;
}

class Reader {
  readonly #text: string;
  readonly #stages: Stage[] = [];
  readonly #globals = new Map<string, string>();
  readonly #dropped: string[] = [];
  readonly #kept: (DockerfileInstruction & { readonly base?: string })[] = [];

  constructor(text: string) {
    this.#text = text.replace(/^\ufeff/, "").replaceAll("\r\n", "\n");
  }

  read(): CheckedDockerfile {
    if (new TextEncoder().encode(this.#text).length > DOCKERFILE_LIMITS.bytes) {
      throw new Refusal(0, `has more than ${DOCKERFILE_LIMITS.bytes} bytes`);
    }
    const strange = /[^\P{Cc}\t\n]|[\p{Zl}\p{Zp}]/u.exec(this.#text);
    if (strange !== null) {
      const line = this.#text.slice(0, strange.index).split("\n").length;
      throw new Refusal(line, "holds a control character");
    }
    const instructions = instructionsIn(this.#text);
    if (instructions.length > DOCKERFILE_LIMITS.instructions) {
      throw new Refusal(0, `has more than ${DOCKERFILE_LIMITS.instructions} instructions`);
    }
    for (const instruction of instructions) this.#judge(instruction);
    if (this.#stages.length === 0) throw new Refusal(0, "has no FROM");
    const kept = this.#kept;
    const bases = [...new Set(this.#stages.flatMap(({ base }) => (base === undefined ? [] : [base])))];
    return {
      ok: true,
      bases,
      dropped: this.#dropped,
      render: (baseIds) => kept.map((instruction) => `${lineOf(instruction, baseIds)}\n`).join(""),
    };
  }

  #judge(instruction: DockerfileInstruction): void {
    const { name, rest, line } = instruction;
    if (name === "FROM") {
      this.#from(instruction);
      return;
    }
    if (name === "ARG" && this.#stages.length === 0) {
      this.#globalArgument(instruction);
      return;
    }
    if (this.#stages.length === 0) throw new Refusal(line, `${name} before FROM`);
    if (DROPPED.has(name)) {
      this.#dropped.push(`line ${line}: ${name} has no meaning here and is left out`);
      return;
    }
    if (name === "ONBUILD") throw new Refusal(line, "ONBUILD has no meaning here", "leave it out");
    if (name === "RUN" || name === "COPY" || name === "ADD") refuseHeredoc(instruction);
    if (name === "RUN") {
      if (/^--[a-z]/i.test(rest)) throw new Refusal(line, "RUN takes no flags here", BUILDKIT);
    } else if (name === "COPY" || name === "ADD") this.#copy(instruction);
    else if (name !== "ARG" && !PLAIN.has(name)) {
      throw new Refusal(line, `${name} is no instruction that is known here`);
    }
    if (rest === "") throw new Refusal(line, `${name} without an argument`);
    this.#kept.push(instruction);
  }

  #globalArgument({ rest, line }: DockerfileInstruction): void {
    const [, name, value = ""] = /^([A-Za-z_][A-Za-z0-9_]*)(?:=([A-Za-z0-9._/:@-]*))?$/.exec(rest) ?? [];
    if (name === undefined) throw new Refusal(line, "before FROM, ARG takes one NAME=VALUE without quotes");
    this.#globals.set(name, value);
    // Stages may declare it again to have its value.
    this.#kept.push({ name: "ARG", rest, line });
  }

  #from({ rest, line }: DockerfileInstruction): void {
    if (this.#stages.length >= DOCKERFILE_LIMITS.stages) throw new Refusal(line, "has too many stages");
    const words = rest.split(/[ \t]+/);
    if (words[0]?.startsWith("--")) throw new Refusal(line, "FROM takes no flags here", "leave out --platform");
    const [named = "", as, alias] = words;
    if (words.length !== 1 && !(words.length === 3 && as?.toLowerCase() === "as")) {
      throw new Refusal(line, "FROM must be `FROM image` or `FROM image AS name`");
    }
    if (alias !== undefined && !/^[a-z][a-z0-9-_.]*$/i.test(alias)) {
      throw new Refusal(line, "the name of a stage has letters, digits, - _ and .");
    }
    const image = this.#substituted(named, line);
    const isOwn = image === "scratch" || this.#stageNamed(image);
    const reference = isOwn ? undefined : parseImageReference(image);
    if (!isOwn && reference === undefined) {
      throw new Refusal(line, `FROM ${shown(image)} is no reference of an image`, 'for example "python:3.12-slim"');
    }
    const base = reference?.canonical;
    this.#stages.push({ alias: alias?.toLowerCase(), base });
    const end = alias === undefined ? "" : ` AS ${alias}`;
    this.#kept.push({ name: "FROM", rest: end, line, base: base ?? `=${image}` });
  }

  #substituted(text: string, line: number): string {
    const result = text.replace(/\$(?:\{([A-Za-z_][A-Za-z0-9_]*)\}|([A-Za-z_][A-Za-z0-9_]*))/g, (_, braced, bare) => {
      const value = this.#globals.get(String(braced ?? bare));
      if (value === undefined) throw new Refusal(line, "FROM uses an ARG that is not declared before it");
      return value;
    });
    if (/[$"'\\`]/.test(result)) throw new Refusal(line, "FROM may use an ARG by its name, and nothing else");
    return result;
  }

  #stageNamed(name: string): boolean {
    return this.#stages.some(({ alias }) => alias !== undefined && alias === name.toLowerCase());
  }

  #copy({ name, rest, line }: DockerfileInstruction): void {
    const words = rest.split(/[ \t]+/);
    while (words[0]?.startsWith("--")) {
      const [flag = "", value = ""] = (words.shift() ?? "").split(/=(.*)/s);
      if (flag === "--from" && name === "COPY") this.#copyFrom(value, line);
      else if (flag !== "--chown") throw new Refusal(line, `${name} ${shown(flag)} is not to be had here`, BUILDKIT);
    }
    if (name === "ADD") refuseRemoteSources(words.join(" "), line);
  }

  #copyFrom(stage: string, line: number): void {
    const known = /^[0-9]{1,3}$/.test(stage) ? Number(stage) < this.#stages.length - 1 : this.#stageNamed(stage);
    if (known) return;
    throw new Refusal(line, "COPY --from names no stage above it", "for files of another image: FROM image AS name");
  }
}

/** Sources may not come from elsewhere, nor be composed of what could turn out to be an address. */
function refuseRemoteSources(rest: string, line: number): void {
  const hint = "download it with RUN, where the network policy of builds holds";
  if (/:\/\//.test(rest) || /(?:^|[\s"[])git@/i.test(rest) || /(?:^|[\s"[])github\.com\//i.test(rest)) {
    throw new Refusal(line, "ADD of an address is refused", hint);
  }
  if (/[$\\'`]/.test(rest)) throw new Refusal(line, "ADD takes no variables, quotes or escapes here", "use COPY");
  if (rest.startsWith("[") ? !isListOfTexts(rest) : rest.includes('"')) {
    throw new Refusal(line, "ADD takes plain paths or a JSON list of them", "use COPY");
  }
}

function isListOfTexts(text: string): boolean {
  try {
    const list: unknown = JSON.parse(text);
    return Array.isArray(list) && list.length > 1 && list.every((entry) => typeof entry === "string");
  } catch {
    return false; // not JSON
  }
}

function refuseHeredoc({ name, rest, line }: DockerfileInstruction): void {
  if (!/(?:^|[\s"[])[0-9]*<<-?["']?[A-Za-z_]/.test(rest)) return;
  throw new Refusal(line, `${name} with a here-document`, BUILDKIT);
}

function lineOf(
  { name, rest, base }: DockerfileInstruction & { readonly base?: string },
  baseIds: ReadonlyMap<string, string>,
): string {
  if (base === undefined) return `${name} ${rest}`;
  if (base.startsWith("=")) return `FROM ${base.slice(1)}${rest}`;
  const id = baseIds.get(base);
  if (id === undefined) throw new TypeError(`no id is given for ${base}`);
  return `FROM ${id}${rest}`;
}

const CONTINUED = /\\[ \t]*$/;

/** Logical lines: comments and blank lines go, within continued instructions too. */
function instructionsIn(text: string): DockerfileInstruction[] {
  const found: DockerfileInstruction[] = [];
  let current: { text: string; line: number } | undefined;
  let areDirectives = true;
  for (const [index, raw] of text.split("\n").entries()) {
    const line = index + 1;
    const trimmed = raw.trim();
    if (areDirectives) areDirectives = judgeDirective(trimmed, line);
    if (trimmed === "" || trimmed.startsWith("#")) continue;
    const isContinued = CONTINUED.test(raw);
    const part = isContinued ? raw.replace(CONTINUED, "") : raw;
    current = current === undefined ? { text: part, line } : { text: current.text + part, line: current.line };
    if (isContinued) continue;
    found.push(instructionOf(current.text, current.line));
    current = undefined;
  }
  if (current !== undefined) found.push(instructionOf(current.text, current.line));
  return found;
}

/** Whether directives may still follow. */
function judgeDirective(trimmed: string, line: number): boolean {
  const [, key, value = ""] = /^#\s*([A-Za-z][A-Za-z0-9]*)\s*=\s*(.*?)\s*$/.exec(trimmed) ?? [];
  if (key === undefined) return false;
  // `syntax` and `check` speak to BuildKit: comments to everybody else.
  if (key.toLowerCase() === "escape" && value !== "\\") {
    throw new Refusal(line, "another escape character than \\ is not to be had here");
  }
  return true;
}

function instructionOf(text: string, line: number): DockerfileInstruction {
  const trimmed = text.trim();
  if (CONTINUED.test(trimmed)) throw new Refusal(line, "ends with a backslash");
  const [, name, rest = ""] = /^([A-Za-z]+)(?:[ \t]+(.*))?$/s.exec(trimmed) ?? [];
  if (name === undefined) throw new Refusal(line, "does not begin with an instruction");
  return { name: name.toUpperCase(), rest: rest.trim(), line };
}

function shown(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}...` : text);
}
