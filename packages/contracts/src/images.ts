// What api, worker and SDK agree on about images beyond messages: how references are written, what a Dockerfile may say.

export type { CheckedDockerfile, DockerfileFault, DockerfileInstruction } from "./dockerfile.ts";
export { checkDockerfile, DOCKERFILE_LIMITS } from "./dockerfile.ts";
export type { ImageReference } from "./image-reference.ts";
export { DEFAULT_REGISTRY, isRegistryName, parseImageReference } from "./image-reference.ts";
