import type { Catalog } from '../../catalog/catalog.ts';
import { knownError } from '../../lib/known-error.ts';
import type { Happening, NoticeEvent } from './notifier.ts';
import { asTold, type Notice, type NoticePlan, noticeKey, planNotice } from './plan-notice.ts';

export interface NoticeScope {
  readonly repository?: string | undefined;
  readonly now: () => number;
  catalog(): Promise<Catalog>;
  readonly onWarning?: ((message: string) => void) | undefined;
  readonly remindMs?: number | undefined;
}

const dayMs = 86_400_000;

/**
 * Earlier notices decide what is sent now. The decision is recorded at once, in case this process ends. A
 * catalog that cannot be written prevents no message: that is when it matters most.
 */
export async function decideNotices(
  scope: NoticeScope,
  happenings: readonly Happening[],
): Promise<NoticePlan[]> {
  const { repository, remindMs = dayMs } = scope;
  const plans: NoticePlan[] = [];
  for (const happening of happenings) {
    const key = noticeKey(happening, repository);
    const record = await tryTo(scope, (catalog) => catalog.findNotice(key));
    const plan = planNotice(happening, { record, repository, nowMs: scope.now(), remindMs });
    await tryTo(scope, (catalog) => {
      if (plan.record !== undefined) catalog.saveNotice(plan.record);
      else if (record !== undefined) catalog.removeNotice(key);
    });
    plans.push(plan);
  }
  return plans;
}

/** These notices have been delivered. */
export async function rememberTold(
  scope: NoticeScope,
  plans: readonly NoticePlan[],
  told: ReadonlySet<Notice>,
): Promise<void> {
  await tryTo(scope, (catalog) => {
    for (const { notice, record, key } of plans) {
      if (notice === undefined || record === undefined || !told.has(notice)) continue;
      const now = catalog.findNotice(key);
      if (now !== undefined) catalog.saveNotice(asTold({ ...record, ...now, lastAt: record.lastAt }));
    }
  });
}

const mostAnHour = 10;
const hourMs = 3_600_000;

export interface Admission {
  readonly isAdmitted: boolean;
  /** What the message says of those that are not sent. */
  readonly remark: string | undefined;
}

/** Messages of one channel whose gravest notice is of one kind. Each kind has a budget of its own. */
interface MessageKind {
  readonly channel: string;
  readonly event: NoticeEvent;
}

/** Admits a bounded number of messages of a kind per hour, over all processes. */
export async function admit(scope: NoticeScope, kind: MessageKind): Promise<Admission> {
  const key = keyOf(kind);
  const record = await tryTo(scope, (catalog) => catalog.findNotice(key));
  const nowMs = scope.now();
  const sinceMs = nowMs - Date.parse(record?.firstAt ?? '');
  const isSameHour = sinceMs >= 0 && sinceMs < hourMs;
  const sent = isSameHour ? (record?.count ?? 0) : 0;
  const heldBack = record?.toldCount ?? 0;
  const isAdmitted = sent < mostAnHour;
  const now = new Date(nowMs).toISOString();
  const next = {
    ...{ key, fingerprint: '', lastAt: now, toldAt: now },
    count: isAdmitted ? sent + 1 : sent,
    firstAt: isSameHour ? (record?.firstAt ?? now) : now,
    toldCount: isAdmitted ? 0 : heldBack + 1,
  };
  await tryTo(scope, (catalog) => catalog.saveNotice(next));
  return { isAdmitted, remark: remarkOn({ heldBack, isLast: next.count === mostAnHour }) };
}

/** Gives back the admission of a message that did not arrive. */
export async function returnAdmission(scope: NoticeScope, kind: MessageKind): Promise<void> {
  await tryTo(scope, (catalog) => {
    const record = catalog.findNotice(keyOf(kind));
    if (record !== undefined) catalog.saveNotice({ ...record, count: Math.max(0, record.count - 1) });
  });
}

function keyOf({ channel, event }: MessageKind): string {
  return `channel ${channel} ${event}`;
}

function remarkOn({
  heldBack,
  isLast,
}: {
  readonly heldBack: number;
  readonly isLast: boolean;
}): string | undefined {
  if (heldBack > 0) return `${heldBack} more were held back before: see "holdfast log".`;
  return isLast ? 'This was much for an hour: what comes until it is over is held back.' : undefined;
}

async function tryTo<T>(scope: NoticeScope, work: (catalog: Catalog) => T): Promise<T | undefined> {
  try {
    return work(await scope.catalog());
  } catch (error) {
    const { message } = knownError(error);
    scope.onWarning?.(`It is not remembered what was told: ${message}`);
    return undefined;
  }
}
