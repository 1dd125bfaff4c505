import type { ConsistencyMode } from './consistency.ts';
import type { Hook } from './hook.ts';
import type { KeepRules } from './keep-rules.ts';

/** A recurring schedule: cron patterns and their time zone. Plain data. */
export interface Schedule {
  /** Five fields, or six with seconds first; the union of all patterns. */
  readonly patterns: readonly string[];
  /** `Europe/Berlin`; undefined is the machine's own. */
  readonly timeZone: string | undefined;
}

/** What to back up, when, how, for how long, and where. */
export interface Policy {
  readonly name: string;
  readonly select: Selection;
  /** Undefined for a policy that runs only by hand. */
  readonly schedule: Schedule | undefined;
  /** Each volume starts up to this much after the scheduled time, always by the same delay. */
  readonly jitterMs: number;
  /** True when missed times are made up for, by one run however many were missed. */
  readonly catchUp: boolean;
  readonly consistency: ConsistencyMode;
  /** How long containers may be still for reading, and how often; undefined for the defaults. */
  readonly maxStillMs: number | undefined;
  readonly stillTries: number | undefined;
  /** The application preset, besides what labels say. */
  readonly preset: string | undefined;
  readonly dump: boolean | undefined;
  readonly hooks: readonly Hook[];
  readonly excludes: readonly string[];
  readonly tags: readonly string[];
  /** Undefined keeps everything. */
  readonly keep: Keep | undefined;
  /** By name or location; '' for the default one. */
  readonly repositories: readonly string[];
  /** Undefined never prunes. */
  readonly prune: Schedule | undefined;
  readonly check: DataCheck | undefined;
  readonly verify: DataCheck | undefined;
  readonly drill: Schedule | undefined;
}

export interface Keep {
  readonly rules: KeepRules;
  /** The newest so many complete and verified snapshots stay despite the rules. */
  readonly verified: number;
}

export interface DataCheck {
  readonly schedule: Schedule;
  /** The share of stored data to read. */
  readonly percent: number;
}

/**
 * The volumes and directories of a policy. An empty selection covers everything that no other policy names.
 */
export interface Selection {
  readonly everything: boolean;
  /** Patterns of volume names. */
  readonly volumes: readonly string[];
  readonly stacks: readonly string[];
  /** Patterns of container names, for their volumes and bind mounts. */
  readonly containers: readonly string[];
  /**
   * Includes the bind mounts of the stacks, or those of all containers when the selection covers the rest or
   * everything.
   */
  readonly bindMounts: boolean;
  /** `KEY` or `KEY=VALUE`, of the volume. */
  readonly labels: readonly string[];
  /** Absolute paths. */
  readonly paths: readonly string[];
  /** Patterns of names to leave out. */
  readonly except: readonly string[];
}

/** True for a policy that covers what no other policy names. */
export function coversRest(select: Selection): boolean {
  const { everything, volumes, stacks, containers, labels, paths } = select;
  return (
    !everything && volumes.length + stacks.length + containers.length + labels.length + paths.length === 0
  );
}

/** Equal for policies whose volumes can be saved together. Pure. */
export function backupSettingsOf(policy: Policy): string {
  const { consistency, maxStillMs, stillTries, preset, dump, hooks, excludes, tags } = policy;
  const still = maxStillMs === Infinity ? 'unlimited' : maxStillMs;
  return JSON.stringify([consistency, still, stillTries, preset, dump, hooks, excludes, tags]);
}

/** The tag of a policy's snapshots, so that its rules apply to no others. */
export function policyTag(name: string): string {
  return `${policyTagStart}${name}`;
}

/** The policy whose tag is among these. */
export function policyOfTags(tags: readonly string[]): string | undefined {
  return tags.find((tag) => tag.startsWith(policyTagStart))?.slice(policyTagStart.length);
}

const policyTagStart = 'policy:';
