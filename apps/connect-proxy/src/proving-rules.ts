// The rules, and word to the door of whoever gets past them: connections of an address that has shown a good token for a
// sandbox need not make room for others there.
import type { Decision, RequestFacts, Rules } from "./exchange.ts";

export function provingRules(rules: Rules, prove: (peerAddress: string, sandboxId: string) => void): Rules {
  const note = (decision: Decision, { peerAddress, sandboxId }: RequestFacts): Decision => {
    if (decision.kind === "forward") prove(peerAddress, sandboxId);
    return decision;
  };
  return {
    decide(facts) {
      const decision = rules.decide(facts);
      return "then" in decision ? decision.then((late) => note(late, facts)) : note(decision, facts);
    },
    answerHeaders: (forward, status, headers) => rules.answerHeaders(forward, status, headers),
    answerLines: (forward, head) => rules.answerLines(forward, head),
    refuse: (code, about) => rules.refuse(code, about),
  };
}
