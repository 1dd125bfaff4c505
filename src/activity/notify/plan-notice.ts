import type { NoticeRecord } from '../../catalog/catalog.ts';
import type { Happening, NoticeEvent } from './notifier.ts';

/** A happening that is to be sent. */
export interface Notice {
  readonly event: NoticeEvent;
  readonly happening: Happening;
  /** How often it has happened since it was last sent, this time included. */
  readonly count: number;
  /** When it began, RFC 3339; undefined when this is the first time. */
  readonly since: string | undefined;
}

export interface NoticePlan {
  /** Undefined when it is not due again yet. */
  readonly notice: Notice | undefined;
  /** The record to keep; undefined when the failure is over, or there is none. */
  readonly record: NoticeRecord | undefined;
  readonly key: string;
}

export interface NoticeFacts {
  readonly record: NoticeRecord | undefined;
  /** The repository in use, by name or location; undefined for the default one. */
  readonly repository?: string | undefined;
  readonly nowMs: number;
  /** The interval after which the same failure is sent again. */
  readonly remindMs: number;
}

/**
 * The key of a happening's record: failures of the same work on the same subject in the same repository share
 * it.
 */
export function noticeKey({ what, work, subject }: Happening, repository: string | undefined): string {
  const kind = what === 'missed' || what === 'anomaly' ? what : 'failure';
  return [kind, work, subject, ...(repository === undefined ? [] : [repository])].join(' ');
}

/** What to send for a happening, given its record; pure. */
export function planNotice(happening: Happening, facts: NoticeFacts): NoticePlan {
  const key = noticeKey(happening, facts.repository);
  const { record, nowMs } = facts;
  if (happening.what === 'good') {
    if (record === undefined && happening.onlyRecovery === true) return { key, notice: undefined, record };
    const event = record === undefined ? 'success' : 'recovery';
    const notice = { event, happening, count: record?.count ?? 1, since: record?.firstAt } as const;
    return { key, notice, record: undefined };
  }
  const now = new Date(nowMs).toISOString();
  const fingerprint = happening.fingerprint ?? happening.what;
  const count = (record?.count ?? 0) + 1;
  const firstAt = record?.firstAt ?? now;
  const toldAt = record?.toldAt ?? now;
  const isDue =
    record === undefined ||
    record.fingerprint !== fingerprint ||
    isOld(record.toldAt, facts) ||
    record.toldCount === 0;
  const next = { key, fingerprint, count, firstAt, lastAt: now, toldAt, toldCount: record?.toldCount ?? 0 };
  if (!isDue) return { key, notice: undefined, record: next };
  const event = happening.what === 'missed' || happening.what === 'anomaly' ? happening.what : 'failure';
  const notice: Notice = {
    event,
    happening,
    count: count - (record?.toldCount ?? 0),
    since: record?.firstAt,
  };
  return { key, notice, record: next };
}

/** The record once its notice was delivered. */
export function asTold(record: NoticeRecord): NoticeRecord {
  return { ...record, toldAt: record.lastAt, toldCount: record.count };
}

/** A clock that went back delays nothing for ever. */
function isOld(toldAt: string, { nowMs, remindMs }: NoticeFacts): boolean {
  const sinceMs = nowMs - Date.parse(toldAt);
  return !(sinceMs >= 0 && sinceMs < remindMs);
}
