import type { ConsistencyMode } from './consistency.ts';
import type { Hook } from './hook.ts';
import type { KeepRules } from './keep-rules.ts';

/** When something is done again and again: cron patterns and the zone in which they are read. Plain data. */
export interface Schedule {
  /** Five fields, or six with seconds first. Any of them counts. */
  readonly patterns: readonly string[];
  /** `Europe/Berlin`; undefined is the machine's own. */
  readonly timeZone: string | undefined;
}

/** What is kept safe, when, how, for how long, and where. */
export interface Policy {
  readonly name: string;
  readonly select: Selection;
  /** Undefined for one that runs by hand only. */
  readonly schedule: Schedule | undefined;
  /** Each volume begins so much later than the schedule says at most, always by the same time. */
  readonly jitterMs: number;
  /** True when a time that was missed is made up for, once, however many were missed. */
  readonly catchUp: boolean;
  readonly consistency: ConsistencyMode;
  /** How long containers may be still for the reading, and how often; undefined is as usual. */
  readonly maxStillMs: number | undefined;
  readonly stillTries: number | undefined;
  /** What is asked of the applications, besides what labels say. */
  readonly preset: string | undefined;
  readonly dump: boolean | undefined;
  readonly hooks: readonly Hook[];
  readonly excludes: readonly string[];
  readonly tags: readonly string[];
  /** Undefined keeps everything. */
  readonly keep: Keep | undefined;
  /** By name or location; '' is the default one. */
  readonly repositories: readonly string[];
  /** Undefined never prunes. */
  readonly prune: Schedule | undefined;
  readonly check: DataCheck | undefined;
  readonly verify: DataCheck | undefined;
  readonly drill: Schedule | undefined;
}

export interface Keep {
  readonly rules: KeepRules;
  /** The newest so many whole and verified ones stay whatever the rules say. */
  readonly verified: number;
}

export interface DataCheck {
  readonly schedule: Schedule;
  /** How much of the stored data is read. */
  readonly percent: number;
}

/** Which volumes and directories a policy is about. One that names nothing is about all that no other one names. */
export interface Selection {
  readonly everything: boolean;
  /** Patterns of names. */
  readonly volumes: readonly string[];
  readonly stacks: readonly string[];
  /** Patterns of names of containers: of their volumes and bind mounts. */
  readonly containers: readonly string[];
  /** Whether the bind mounts of the stacks are meant too, or those of all containers where the rest or everything is. */
  readonly bindMounts: boolean;
  /** `KEY` or `KEY=VALUE`, of the volume. */
  readonly labels: readonly string[];
  /** Absolute. */
  readonly paths: readonly string[];
  /** Patterns of names that are left out. */
  readonly except: readonly string[];
}

/** True for a policy that covers what no other one names. */
export function coversRest(select: Selection): boolean {
  const { everything, volumes, stacks, containers, labels, paths } = select;
  return (
    !everything && volumes.length + stacks.length + containers.length + labels.length + paths.length === 0
  );
}

/** Tells volumes that can be saved together from those that are to be treated in other ways. Pure. */
export function backupSettingsOf(policy: Policy): string {
  const { consistency, maxStillMs, stillTries, preset, dump, hooks, excludes, tags } = policy;
  const still = maxStillMs === Infinity ? 'unlimited' : maxStillMs;
  return JSON.stringify([consistency, still, stillTries, preset, dump, hooks, excludes, tags]);
}

/** Marks the snapshots that a policy made, so that its rules apply to no others. */
export function policyTag(name: string): string {
  return `${policyTagStart}${name}`;
}

/** The policy whose tag is among these. */
export function policyOfTags(tags: readonly string[]): string | undefined {
  return tags.find((tag) => tag.startsWith(policyTagStart))?.slice(policyTagStart.length);
}

const policyTagStart = 'policy:';
