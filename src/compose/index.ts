/**
 * Compose files: reads what `docker compose config` reads, with the place of each value, and says what `up`
 * would do that hurts. Never starts, stops or removes a container. Begin with `compose-project.ts`.
 */
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
