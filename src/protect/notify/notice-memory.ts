import type { Catalog } from '../../catalog/catalog.ts';
import { knownError } from '../../lib/known-error.ts';
import type { Happening } from './notifier.ts';
import { asTold, type Notice, type NoticePlan, noticeKey, planNotice } from './plan-notice.ts';

export interface NoticeMemoryParts {
  readonly repository?: string | undefined;
  readonly now: () => number;
  catalog(): Promise<Catalog>;
  readonly onWarning?: ((message: string) => void) | undefined;
  readonly remindMs?: number | undefined;
}

const dayMs = 86_400_000;

/**
 * What was told before decides what is told now. It is remembered at once, in case this process ends. A catalog that
 * takes nothing keeps nothing from being told: that is when it matters most.
 */
export async function decideNotices(
  parts: NoticeMemoryParts,
  happenings: readonly Happening[],
): Promise<NoticePlan[]> {
  const { repository, remindMs = dayMs } = parts;
  const plans: NoticePlan[] = [];
  for (const happening of happenings) {
    const key = noticeKey(happening, repository);
    const record = await tryTo(parts, (catalog) => catalog.findNotice(key));
    const plan = planNotice(happening, { record, repository, nowMs: parts.now(), remindMs });
    await tryTo(parts, (catalog) => {
      if (plan.record !== undefined) catalog.saveNotice(plan.record);
      else if (record !== undefined) catalog.removeNotice(key);
    });
    plans.push(plan);
  }
  return plans;
}

/** Somebody has heard of these. */
export async function rememberTold(
  parts: NoticeMemoryParts,
  plans: readonly NoticePlan[],
  told: ReadonlySet<Notice>,
): Promise<void> {
  await tryTo(parts, (catalog) => {
    for (const { notice, record, key } of plans) {
      if (notice === undefined || record === undefined || !told.has(notice)) continue;
      const now = catalog.findNotice(key);
      if (now !== undefined) catalog.saveNotice(asTold({ ...record, ...now, lastAt: record.lastAt }));
    }
  });
}

async function tryTo<T>(parts: NoticeMemoryParts, work: (catalog: Catalog) => T): Promise<T | undefined> {
  try {
    return work(await parts.catalog());
  } catch (error) {
    const { message } = knownError(error);
    parts.onWarning?.(`It is not remembered what was told: ${message}`);
    return undefined;
  }
}
