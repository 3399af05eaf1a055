// Mutation tests. Without POLICY_MUTANT: the suite that makes every mistake once. With it: the package's own tests, the
// mistake of that number in its source.
import type { ViteUserConfig } from "vitest/config";
import { unitTests } from "../../vitest.shared.ts";
import { MUTANTS, type Mutant } from "./test/mutants.ts";

const number = process.env["POLICY_MUTANT"];

export default number === undefined ? everyMistake() : ownTests(MUTANTS[Number(number)]);

function everyMistake(): ViteUserConfig {
  return unitTests({
    include: ["test/mutation.full.ts"],
    testTimeout: 180_000,
    outputFile: { json: "reports/mutants.json" },
  });
}

function ownTests(mutant: Mutant | undefined): ViteUserConfig {
  const tests = unitTests({ reporters: ["json"] });
  return mutant === undefined ? tests : { ...tests, plugins: [mistakeOf(mutant)] };
}

function mistakeOf({ file, from, to }: Mutant): NonNullable<ViteUserConfig["plugins"]>[number] {
  return {
    name: "mistake",
    enforce: "pre",
    transform: (code, id) => (id.endsWith(`/src/${file}`) ? code.replace(from, () => to) : undefined),
  };
}
