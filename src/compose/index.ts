/**
 * Compose files: reads what `docker compose config` reads, with the place of each value, and says what `up`
 * would do that hurts. Never starts, stops or removes a container. Begin with `compose-mount.ts`.
 */
export type { Finding } from '../model/finding.ts';
