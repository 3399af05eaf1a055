// Mistakes that somebody could make in the code that decides. Each must fail a test: one that does not is a hole in the
// tests, or code that decides nothing.

export interface Mutant {
  /** In `src`. */
  readonly file: string;
  /** Found exactly once in the file. */
  readonly from: string;
  readonly to: string;
  /** What is wrong then. */
  readonly mistake: string;
}

export const MUTANTS: readonly Mutant[] = [
  // What compiling lets through.
  {
    file: "compile.ts",
    from: '4: subtractRanges(rangesOf(4, [parseCidr("0.0.0.0/0")]), NEVER_RANGES[4])',
    to: '4: rangesOf(4, [parseCidr("0.0.0.0/0")])',
    mistake: "IPv4 loses its never-reachable ranges",
  },
  {
    file: "compile.ts",
    from: '6: subtractRanges(rangesOf(6, [parseCidr("::/0")]), NEVER_RANGES[6])',
    to: '6: rangesOf(6, [parseCidr("::/0")])',
    mistake: "IPv6 loses its never-reachable ranges",
  },
  {
    file: "compile.ts",
    from: "4: subtractRanges(REACHABLE[4], PRIVATE_RANGES[4])",
    to: "4: REACHABLE[4]",
    mistake: "private IPv4 counts as public",
  },
  {
    file: "compile.ts",
    from: "6: subtractRanges(REACHABLE[6], PRIVATE_RANGES[6])",
    to: "6: REACHABLE[6]",
    mistake: "private IPv6 counts as public",
  },
  {
    file: "compile.ts",
    from: "subtractRanges([rangeOf(cidr)], grantRanges).length === 0",
    to: "intersectRanges([rangeOf(cidr)], grantRanges).length > 0",
    mistake: "an entry counts that is only partly granted",
  },
  {
    file: "compile.ts",
    from: "const granted = intersectRanges(wholeOf(family, inside), privateSpace);",
    to: "const granted = intersectRanges(wholeOf(family, ofFamily), privateSpace);",
    mistake: "private space needs no grant",
  },
  {
    file: "compile.ts",
    from: "entries: partsOf(inside), within: subtractRanges(privateSpace, granted)",
    to: "entries: partsOf(ofFamily), within: subtractRanges(privateSpace, granted)",
    mistake: "rules about ports need no grant",
  },
  {
    file: "compile.ts",
    from: "within: subtractRanges(publicSpace, open), granted: false",
    to: "within: publicSpace, granted: false",
    mistake: "boxes overlap the allowed CIDRs",
  },
  {
    file: "compile.ts",
    from: "within: subtractRanges(privateSpace, granted), granted: true",
    to: "within: privateSpace, granted: true",
    mistake: "boxes overlap the granted CIDRs",
  },
  {
    file: "compile.ts",
    from: "intersectRanges(REACHABLE[family], PRIVATE_RANGES[family])",
    to: "PRIVATE_RANGES[family]",
    mistake: "metadata inside private space can be granted",
  },
  {
    file: "compile.ts",
    from: "entries.filter(({ only }) => only === undefined).map",
    to: "entries.map",
    mistake: "a rule about a port opens the whole CIDR",
  },
  {
    file: "compile.ts",
    from: "all.filter(({ cidr }) => cidr.family === family)",
    to: "all",
    mistake: "the families mix",
  },
  { file: "compile.ts", from: "mode: policy,", to: 'mode: "open",', mistake: "blocked compiles to open" },

  // Boxes.
  {
    file: "port-rules.ts",
    from: "before.last + 1n === range.first",
    to: "before.last + 1n <= range.first",
    mistake: "a box spans a gap",
  },
  {
    file: "port-rules.ts",
    from: "if (boxes.length === room) throw tooMany(field);",
    to: "",
    mistake: "the number of boxes has no bound",
  },
  {
    file: "port-rules.ts",
    from: "MAX_PORT_RULES - rules.length",
    to: "MAX_PORT_RULES",
    mistake: "the bound counts each protocol alone",
  },
  {
    file: "port-rules.ts",
    from: "0n) < cidr.first) around.pop()",
    to: "0n) <= cidr.first) around.pop()",
    mistake: "a CIDR at the last address of another is not inside it",
  },
  {
    file: "port-rules.ts",
    from: "mergePorts([...(node.outer === undefined ? [] : portsOf(node.outer)), ...node.own])",
    to: "mergePorts(node.own)",
    mistake: "an inner rule hides the outer one",
  },
  {
    file: "port-rules.ts",
    from: "outer.own.push(...only.ports);",
    to: "",
    mistake: "of two rules about one CIDR the first hides the other",
  },
  {
    file: "port-rules.ts",
    from: "if (ports.length > room) throw tooMany(field);",
    to: "if (ports.length >= room) throw tooMany(field);",
    mistake: "a place that takes all the room there is counts as one too many",
  },
  {
    file: "port-rules.ts",
    from: "subtractRanges([node.whole], node.inner)",
    to: "[node.whole]",
    mistake: "boxes of nested rules overlap",
  },
  {
    file: "port-rules.ts",
    from: "left.prefix - right.prefix",
    to: "right.prefix - left.prefix",
    mistake: "the narrower CIDR is taken for the outer one",
  },
  {
    file: "port-rules.ts",
    from: "entry.only.protocols.includes(protocol)",
    to: "true",
    mistake: "a rule for TCP allows UDP",
  },
  {
    file: "port-rules.ts",
    from: "last: formatAddress({ family, value: last })",
    to: "last: formatAddress({ family, value: last + 1n })",
    mistake: "a box is one address too long",
  },
  {
    file: "port-rules.ts",
    from: "toPort: ports.last",
    to: "toPort: ports.last + 1",
    mistake: "a box is one port too long",
  },
  {
    file: "port-rules.ts",
    from: "fromPort: ports.first",
    to: "fromPort: ports.first + 1",
    mistake: "a box is one port too short",
  },

  // Ports.
  {
    file: "ports.ts",
    from: "range.first <= before.last + 1)",
    to: "range.first <= before.last + 2)",
    mistake: "a port between two others is allowed with them",
  },
  {
    file: "ports.ts",
    from: "range.first <= before.last + 1)",
    to: "range.first <= before.last)",
    mistake: "neighbouring ports are not joined",
  },
  {
    file: "ports.ts",
    from: "Math.max(before.last, range.last)",
    to: "range.last",
    mistake: "a range inside another cuts it off",
  },
  { file: "ports.ts", from: "value >= ALL_PORTS.first", to: "value >= 0", mistake: "port 0 is a port" },
  { file: "ports.ts", from: "value <= ALL_PORTS.last", to: "value <= 65_536", mistake: "port 65,536 is a port" },
  { file: "ports.ts", from: "Number.isInteger(value) && ", to: "", mistake: "half a port is a port" },
  { file: "ports.ts", from: "range.first > range.last", to: "false", mistake: "a range may go backwards" },
  {
    file: "ports.ts",
    from: "input.length > MAX_PORTS_PER_RULE",
    to: "input.length > 65_535",
    mistake: "ports have no bound",
  },

  // Parsing.
  {
    file: "entry.ts",
    from: "PORT_PROTOCOLS : [named]",
    to: "PORT_PROTOCOLS : PORT_PROTOCOLS",
    mistake: "ports of TCP are ports of UDP",
  },
  {
    file: "entry.ts",
    from: "named === undefined ? undefined : { protocols: [named], ports: [ALL_PORTS] }",
    to: "undefined",
    mistake: "a rule for one protocol allows every protocol",
  },
  { file: "entry.ts", from: "if (unknown !== undefined)", to: "if (false)", mistake: "a misspelt key is passed over" },
  {
    file: "entry.ts",
    from: "(!both && isEveryPort(only.ports))",
    to: "isEveryPort(only.ports)",
    mistake: "all ports of TCP and UDP are written as everything",
  },
  {
    file: "parse.ts",
    from: "assertReachable(entry.cidr, granted,",
    to: "void (entry.cidr, granted,",
    mistake: "an entry may reach nothing",
  },
  {
    file: "parse.ts",
    from: "compileEntries(entries, granted, field);",
    to: "",
    mistake: "a policy is taken that cannot be enforced",
  },
  {
    file: "parse.ts",
    from: 'key !== "allow"',
    to: "key === undefined",
    mistake: "unknown parts of a policy are passed over",
  },
  { file: "parse.ts", from: "if (earlier !== undefined)", to: "if (false)", mistake: "an entry may be there twice" },
  { file: "parse.ts", from: "list.length > MAX_ALLOW_ENTRIES", to: "false", mistake: "the list has no bound" },
  {
    file: "parse.ts",
    from: "if (subtractRanges([rangeOf(entry)], PRIVATE_RANGES[entry.family]).length > 0)",
    to: "if (false)",
    mistake: "public space can be granted, and with it everything",
  },
  { file: "cidr.ts", from: "cidr.first !== address", to: "false", mistake: "host bits are cut off" },
  {
    file: "cidr.ts",
    from: 'family === 6 && addressText.includes(".")',
    to: "false",
    mistake: "a dotted tail has no name in the error",
  },
  { file: "cidr.ts", from: "prefix <= bitsOf(family)", to: "prefix <= 128", mistake: "IPv4 takes prefixes of IPv6" },
  { file: "address.ts", from: "(?:0|[1-9][0-9]{0,2})", to: "[0-9]{1,3}", mistake: "octal numbers are read as decimal" },
  { file: "address.ts", from: "parts.length !== 4", to: "parts.length > 4", mistake: "short forms of IPv4 are read" },

  // Deciding, for answers.
  {
    file: "decide.ts",
    from: "if (never !== undefined)",
    to: "if (false)",
    mistake: "answers forget what is never reachable",
  },
  {
    file: "decide.ts",
    from: 'cidrContains(parseCidr(own, "ownAddresses"), host)',
    to: "false",
    mistake: "answers forget the machines",
  },
  {
    file: "decide.ts",
    from: 'row === undefined ? { kind: "open" }',
    to: 'true ? { kind: "open" }',
    mistake: "open reaches private networks",
  },
  {
    file: "decide.ts",
    from: "row === undefined ? listed : listed.filter",
    to: "row !== undefined ? listed : listed.filter",
    mistake: "grants count for public space, and not for private",
  },
  {
    file: "decide.ts",
    from: "first <= port && port <= last",
    to: "first <= port && port < last",
    mistake: "the last port of a range is left out",
  },
  {
    file: "decide.ts",
    from: "if (!protocols.includes(protocol)) return false;",
    to: "",
    mistake: "answers about UDP read rules for TCP",
  },
  {
    file: "decide.ts",
    from: "parts.every(({ ports }) => isEveryPort(ports))",
    to: "parts.length > 0",
    mistake: "some ports are told as all ports",
  },
  {
    file: "destination.ts",
    from: 'protocol: protocol ?? "tcp"',
    to: 'protocol: protocol ?? "udp"',
    mistake: "a port alone is one of UDP",
  },

  // What a change takes away.
  {
    file: "tightens.ts",
    from: "addressesIn(rest);",
    to: "addressesIn(rest) - 1n;",
    mistake: "one lost port of one address is missed",
  },
  {
    file: "tightens.ts",
    from: "if (left.protocol !== right.protocol) return 0n;",
    to: "",
    mistake: "UDP makes up for TCP",
  },
  {
    file: "tightens.ts",
    from: "if (subtractRanges(wholeSpace(before, family), whole).length > 0) return true;",
    to: "",
    mistake: "a CIDR that goes is missed",
  },
  {
    file: "tightens.ts",
    from: "[rules.allow4, rules.granted4]",
    to: "[rules.allow4]",
    mistake: "a private CIDR that goes is missed",
  },
  {
    file: "ranges.ts",
    from: "hole.first > first",
    to: "hole.first > first + 1n",
    mistake: "one address is lost before a hole",
  },
  {
    file: "ranges.ts",
    from: "first = hole.last + 1n",
    to: "first = hole.last",
    mistake: "the last address of a hole stays",
  },
  {
    file: "reserved.ts",
    from: '{ cidr: "64:ff9b::/96",',
    to: '{ cidr: "64:ff9b::/97",',
    mistake: "half of NAT64 is reachable",
  },
];
