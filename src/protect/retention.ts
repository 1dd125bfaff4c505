import type { PruneLimits, PruneSummary } from '../repository/index.ts';
import type { FindRequest, FoundEntry } from './find.ts';
import type { ForgetReport, ForgetRequest } from './forget.ts';
import type { ForgetGroup, ForgetPlan, SnapshotFate } from './forget-plan.ts';
import type { KeepRules, Period } from './keep-rules.ts';
import type { JobOptions, Protection } from './protection.ts';
import type { SnapshotFilter } from './snapshots.ts';
import type { StatsReport, VolumeStats } from './stats.ts';
import type { TaggedSnapshot, TagRequest } from './tag.ts';

/** What keeps a repository from growing for ever, and says what is in it. */
export interface Retention {
  /** What would be forgotten, and why everything else stays; nothing is touched. */
  planForget(request: ForgetRequest, options?: JobOptions): Promise<ForgetPlan>;
  /** Removes the snapshots that a plan says. `conflict` when one that was to stay is gone meanwhile. */
  applyForget(plan: ForgetPlan, options?: JobOptions): Promise<ForgetReport>;
  /** What `prune` would do now; nothing is touched. */
  planPrune(limits: PruneLimits, options?: JobOptions): Promise<PruneSummary>;
  /** Removes the data that no snapshot needs. */
  prune(limits: PruneLimits, options?: JobOptions): Promise<PruneSummary>;
  /** Changes the tags of snapshots, which get new ids by it. */
  changeTags(request: TagRequest, options?: JobOptions): Promise<TaggedSnapshot[]>;
  /** How much is stored, for all volumes or one. */
  stats(filter: Pick<SnapshotFilter, 'name'>, options?: JobOptions): Promise<StatsReport>;
  /** Files and folders in snapshots, newest snapshot first. */
  find(request: FindRequest, options?: JobOptions): AsyncIterable<FoundEntry>;
}

export function openRetention(parts: Protection): Retention {
  return {
    async planForget(request, options = {}) {
      const { prepareForget } = await import('./forget.ts');
      return await prepareForget(parts, request, options);
    },
    async applyForget(plan, options = {}) {
      const { applyForget } = await import('./forget.ts');
      return await applyForget(parts, plan, options);
    },
    async planPrune(limits, { signal, onProgress } = {}) {
      return await (await parts.repository()).planPrune({ ...limits, signal, onProgress });
    },
    async prune(limits, { signal, onProgress } = {}) {
      return await (await parts.repository()).prune({ ...limits, signal, onProgress });
    },
    async changeTags(request, options = {}) {
      const { changeTags } = await import('./tag.ts');
      return await changeTags(parts, request, options);
    },
    async stats(filter, options = {}) {
      const { measureStats } = await import('./stats.ts');
      return await measureStats(parts, filter, options);
    },
    async *find(request, options = {}) {
      const { findEntries } = await import('./find.ts');
      yield* findEntries(parts, request, options);
    },
  };
}

export type {
  FindRequest,
  FoundEntry,
  ForgetGroup,
  ForgetPlan,
  ForgetReport,
  ForgetRequest,
  KeepRules,
  Period,
  PruneLimits,
  PruneSummary,
  SnapshotFate,
  StatsReport,
  TaggedSnapshot,
  TagRequest,
  VolumeStats,
};
