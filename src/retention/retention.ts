import { isAppError } from '../model/errors.ts';
import type { PruneLimits, PruneSummary } from '../repository/index.ts';
import { applyForget, type ForgetReport, type ForgetRequest, prepareForget } from './forget.ts';
import type { ForgetGroup, ForgetPlan, ForgetDecision } from './forget-plan.ts';
import type { KeepRules, Period } from '../model/keep-rules.ts';
import type { JobOptions, LoggedState } from '../activity/index.ts';
import { openSources, type SnapshotAccess } from '../snapshots/index.ts';
import { changeTags, type TaggedSnapshot, type TagRequest } from './tag.ts';

/** Keeps a repository from growing for ever. */
export interface Retention {
  /** What would be forgotten, and why everything else stays; changes nothing. */
  planForget(request: ForgetRequest, options?: JobOptions): Promise<ForgetPlan>;
  readonly asJson: { forget(plan: ForgetPlan, done: ForgetDone): object };
  /** Removes the plan's snapshots. `conflict` when one that was to stay is gone meanwhile. */
  applyForget(plan: ForgetPlan, options?: JobOptions): Promise<ForgetReport>;
  /** What `prune` would do now; changes nothing. */
  planPrune(limits: PruneLimits, options?: JobOptions): Promise<PruneSummary>;
  /** Removes the data that no snapshot needs. */
  prune(limits: PruneLimits, options?: JobOptions): Promise<PruneSummary>;
  /** Changes the tags of snapshots, which get new ids. */
  changeTags(request: TagRequest, options?: JobOptions): Promise<TaggedSnapshot[]>;
}

/** What was done of a plan. */
export interface ForgetDone {
  readonly removed: readonly string[];
  readonly dryRun: boolean;
  readonly pruned?: PruneSummary | undefined;
}

export function openRetention(access: SnapshotAccess & LoggedState): Retention {
  const { repository, stateDir, log } = access;
  const remember = async (
    id: string,
    sizes: { readonly sizeBytes: number; readonly unusedBytes: number },
  ): Promise<void> => {
    try {
      (await access.catalog()).noteRepository(id, { at: new Date().toISOString(), ...sizes });
    } catch (error) {
      // It is for metrics only, and fails no prune.
      if (!isAppError(error)) throw error;
    }
  };
  return {
    asJson: { forget: forgetAsJson },
    planForget: async (request, options = {}) =>
      await prepareForget({ stateDir, ...(await openSources(access)) }, request, options),
    applyForget: async (request, options = {}) =>
      await applyForget({ log, repository: await repository() }, request, options),
    async planPrune(limits, { signal, onProgress } = {}) {
      const opened = await repository();
      const plan = await opened.planPrune({ ...limits, signal, onProgress });
      const { packs, unused } = plan;
      await remember(opened.id, { sizeBytes: packs.bytes, unusedBytes: unused.bytes });
      return plan;
    },
    async prune(limits, { signal, onProgress } = {}) {
      const opened = await repository();
      const done = await opened.prune({ ...limits, signal, onProgress });
      const { packs, freedBytes, unusedAfterBytes } = done;
      await remember(opened.id, { sizeBytes: packs.bytes - freedBytes, unusedBytes: unusedAfterBytes });
      return done;
    },
    changeTags: async (request, options = {}) => await changeTags(access, request, options),
  };
}

function forgetAsJson(plan: ForgetPlan, { removed, dryRun, pruned }: ForgetDone): object {
  return {
    dryRun,
    groups: plan.groups.map(groupAsJson),
    damaged: plan.damaged,
    refusal: plan.refusal === undefined ? null : plan.refusal.message,
    removed,
    prune: pruned ?? null,
  };
}

function groupAsJson({ name, hostname, isSafety, decisions }: ForgetGroup): object {
  return {
    name,
    hostname,
    isSafety,
    snapshots: decisions.map(({ snapshot: { id, time, tags }, stays, reasons }) => ({
      id,
      time,
      tags,
      stays,
      reasons,
    })),
  };
}

export type {
  ForgetGroup,
  ForgetPlan,
  ForgetReport,
  ForgetRequest,
  KeepRules,
  Period,
  PruneLimits,
  PruneSummary,
  ForgetDecision,
  TaggedSnapshot,
  TagRequest,
};
