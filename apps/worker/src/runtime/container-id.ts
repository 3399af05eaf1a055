// Ids of containers: what runsc, cgroups, bundles and conmon know a sandbox by. They are this worker's own, since a
// sandbox may be made before it is known whose it will be; all have one length, because runsc takes any prefix for an id.
import { isId } from "@sallyport/contracts";
import { monotonicFactory } from "ulid";

const PREFIX = "bx-";
const SHAPE = /^bx-[0-7][0-9a-hjkmnp-tv-z]{25}$/;

const nextUlid = monotonicFactory();

export function newContainerId(): string {
  return `${PREFIX}${nextUlid().toLowerCase()}`;
}

/** Instance ids are container ids, too: containers of earlier versions are named by them. */
export function isContainerId(text: string): boolean {
  return SHAPE.test(text) || isId("instance", text);
}
