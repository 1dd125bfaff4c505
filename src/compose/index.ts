/**
 * Compose files: reads what `docker compose config` reads, with the place of each value, and says what `up`
 * would do that hurts. Never starts, stops or removes a container. Begin with `compose-project.ts`.
 */
export { formatPosition, readDocuments } from './parse-yaml.ts';
export { loadProject } from './load-project.ts';
export type { Finding } from '../model/finding.ts';
export type { ComposeVolume } from './compose-volume.ts';
export type {
  ComposeBuild,
  ComposeComment,
  ComposeDependency,
  ComposeGrant,
  ComposeHealthcheck,
  ComposePath,
  ComposeProblem,
  ComposeProject,
  ComposeRequest,
  ComposeResource,
  ComposeService,
  ComposeServiceMount,
  ComposeServiceTmpfs,
  ComposeVolumesFrom,
} from './compose-project.ts';
export { containersRoot, type Owner } from './container-owners.ts';
export { openCompose, type Compose, type ComposeOptions } from './compose.ts';
export type { ComposeCheckReport, ComposeKnowledge, DrawnGraph, Explanation } from './compose.ts';
export type { SettingProblem } from './check/settings.ts';
export type { ExplainedMount, KnownProtection, Protection } from './explain/explain-mounts.ts';
export type { Language } from './explain/sentences.ts';
export type { PrepareOutcome } from './prepare/apply-prepare.ts';
export type {
  FolderStep,
  MissingFile,
  PreparePlan,
  PrepareStep,
  VolumeStep,
} from './prepare/plan-prepare.ts';
export type { StorageGraph } from './graph/storage-graph.ts';
