// What a machine needs and has.

export type { BaseImage } from "./base-image.ts";
export { defaultImage, findDefaultImage } from "./base-image.ts";
export type { BoundAuthority } from "./bound-authority.ts";
export { readBoundAuthority } from "./bound-authority.ts";
export type { DoctorReport, FindingReport } from "./doctor.ts";
export { describeFindings, examine, reportOf } from "./doctor.ts";
export { findEngine } from "./engine.ts";
export type { HostErrorCode } from "./errors.ts";
export { HostError } from "./errors.ts";
export type { Cure, CureContext, Finding, FindingState, Need, NeedName } from "./finding.ts";
export { isUsable } from "./finding.ts";
export { homeDirectories, prepareHome } from "./home.ts";
export type { CgroupController, CgroupLayout, KernelFacts, NetworkTrial } from "./kernel.ts";
export { cgroupLayout, kernelFacts } from "./kernel.ts";
export { lockFile } from "./lock.ts";
export type { CachePaths, HomePaths, PathOptions, ProgramPaths, SallyportPaths } from "./paths.ts";
export { DEFAULT_CACHE, DEFAULT_HOME, DEFAULT_OPT, sallyportPaths } from "./paths.ts";
export { layOutPostgres, postgresPackage } from "./postgres.ts";
export type { Runsc } from "./runsc.ts";
export { findRunsc, mustHideNetSysctls, parseRunscVersion, usableRunsc } from "./runsc.ts";
export type { SetupOptions, SetupReporter, SetupResult, SetupStep } from "./setup.ts";
export { allNeeds, probeAll, setUp } from "./setup.ts";
export type { TrustOptions, TrustStep } from "./trust.ts";
export { homeOfUser, trustAuthority, untrustAuthorities } from "./trust.ts";
export type { SystemUser, SystemUserRole, SystemUsers } from "./users.ts";
export { EDGE_GROUP, SYSTEM_USERS, systemUsers } from "./users.ts";
