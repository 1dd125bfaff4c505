/**
 * What to do when: holdfast.yaml, the data of each policy, what is due, the daemon that runs it, and
 * coverage. Decides, and calls other rooms through `PolicyWork`; reads and writes no volume and no repository
 * itself. Begin with `open-policies.ts`, then `plan-due.ts` (what is due) and `daemon.ts`.
 */
export { openConfigurationSource, type ConfigurationSource } from './configuration/configuration-source.ts';
export type { ConfigurationPlace, LoadedConfiguration } from './configuration/load-configuration.ts';
export type { CoverageReport } from './coverage.ts';
export type * from './open-policies.ts';
export { openPolicies } from './open-policies.ts';
export type { PolicyLook } from './daemon.ts';
export { findDaemon } from './daemon-lock.ts';
export type { OpenedApp } from './policy-app.ts';
