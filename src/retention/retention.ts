import type { PruneLimits, PruneSummary } from '../repository/index.ts';
import { applyForget, type ForgetReport, type ForgetRequest, prepareForget } from './forget.ts';
import type { ForgetGroup, ForgetPlan, ForgetDecision } from './forget-plan.ts';
import type { KeepRules, Period } from '../model/keep-rules.ts';
import { type JobOptions, type Protection } from '../activity/index.ts';
import { changeTags, type TaggedSnapshot, type TagRequest } from './tag.ts';

/** Keeps a repository from growing for ever. */
export interface Retention {
  /** What would be forgotten, and why everything else stays; changes nothing. */
  planForget(request: ForgetRequest, options?: JobOptions): Promise<ForgetPlan>;
  readonly asJson: { group(group: ForgetGroup): object };
  /** Removes the plan's snapshots. `conflict` when one that was to stay is gone meanwhile. */
  applyForget(plan: ForgetPlan, options?: JobOptions): Promise<ForgetReport>;
  /** What `prune` would do now; changes nothing. */
  planPrune(limits: PruneLimits, options?: JobOptions): Promise<PruneSummary>;
  /** Removes the data that no snapshot needs. */
  prune(limits: PruneLimits, options?: JobOptions): Promise<PruneSummary>;
  /** Changes the tags of snapshots, which get new ids. */
  changeTags(request: TagRequest, options?: JobOptions): Promise<TaggedSnapshot[]>;
}

export function openRetention(parts: Protection): Retention {
  return {
    asJson: { group: groupAsJson },
    planForget: async (request, options = {}) => await prepareForget(parts, request, options),
    applyForget: async (request, options = {}) => await applyForget(parts, request, options),
    async planPrune(limits, { signal, onProgress } = {}) {
      return await (await parts.repository()).planPrune({ ...limits, signal, onProgress });
    },
    async prune(limits, { signal, onProgress } = {}) {
      return await (await parts.repository()).prune({ ...limits, signal, onProgress });
    },
    changeTags: async (request, options = {}) => await changeTags(parts, request, options),
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
