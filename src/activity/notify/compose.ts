import { formatDuration } from '../../model/duration.ts';
import { quote } from '../../model/quote.ts';
import type { ChannelBasics } from './channel.ts';
import type { Happening, NoticeEvent } from './notifier.ts';
import type { Notice } from './plan-notice.ts';
import { fillTemplate, type TemplateFields } from './template.ts';
import { localTime } from '../../model/local-time.ts';

export interface Message {
  /** The gravest event in it. */
  readonly event: NoticeEvent | 'test';
  readonly title: string;
  readonly text: string;
  readonly fields: TemplateFields;
  readonly notices: readonly Notice[];
}

export interface ComposeFacts {
  /** This machine's name. */
  readonly host: string;
  /** Undefined for the default one. */
  readonly repository?: string | undefined;
  /** The last line. */
  readonly remark?: string | undefined;
  readonly nowMs: number;
}

/** The gravest first. */
export const gravity: readonly NoticeEvent[] = ['failure', 'anomaly', 'missed', 'recovery', 'success'];

const shownAtMost = 20;

/** Combines notices, at least one, into one message; pure. */
export function composeMessage(
  notices: readonly Notice[],
  facts: ComposeFacts,
  templates: Pick<ChannelBasics, 'title' | 'message'>,
): Message {
  const sorted = notices.toSorted((a, b) => gravity.indexOf(a.event) - gravity.indexOf(b.event));
  const event = sorted[0]?.event ?? 'success';
  const end = facts.remark === undefined ? '' : `\n\n${facts.remark}`;
  const usual = {
    title: oneLine(`${titleOf(sorted)} on ${facts.host}`),
    message: `${sorted.length === 1 && sorted[0] ? bodyOf(sorted[0], facts) : listOf(sorted, facts)}${end}`,
  };
  const bare = { ...fieldsOf(sorted, facts), event, ...usual };
  const title = templates.title === undefined ? usual.title : oneLine(fillTemplate(templates.title, bare));
  const text = templates.message === undefined ? usual.message : fillTemplate(templates.message, bare);
  return { event, title, text, fields: { ...bare, title, message: text }, notices: sorted };
}

/** What `holdfast notify test` sends. */
export function testMessage(facts: ComposeFacts): Message {
  const title = `A test from Holdfast on ${oneLine(facts.host)}`;
  const text = 'Notifications over this channel arrive.';
  const fields = { ...fieldsOf([], facts), event: 'test', title, message: text };
  return { event: 'test', title, text, fields, notices: [] };
}

function titleOf(notices: readonly Notice[]): string {
  const [first] = notices;
  if (notices.length === 1 && first !== undefined) return subjectOf(first);
  const parts = gravity.flatMap((event) => {
    const count = notices.filter((notice) => notice.event === event).length;
    return count === 0 ? [] : [`${count} ${plural(event, count)}`];
  });
  return parts.join(', ');
}

function plural(event: NoticeEvent, count: number): string {
  if (event === 'missed') return count === 1 ? 'missed run' : 'missed runs';
  if (count === 1) return event;
  return { failure: 'failures', anomaly: 'anomalies', recovery: 'recoveries', success: 'successes' }[event];
}

const nouns = {
  backup: 'Backup',
  restore: 'Restore',
  verify: 'Verification',
  drill: 'Drill',
  prune: 'Pruning',
  recovery: 'Recovery',
  schedule: 'Schedule',
} as const;

const ends: Readonly<Record<NoticeEvent, string>> = {
  failure: 'failed',
  recovery: 'works again',
  missed: 'was missed',
  anomaly: 'looks wrong',
  success: 'is done',
};

function subjectOf({ event, happening }: Notice): string {
  const end = happening.what === 'partial' ? 'is not complete' : ends[event];
  return `${nouns[happening.work]} of ${quote(happening.subject)} ${end}`;
}

function bodyOf(notice: Notice, { repository }: ComposeFacts): string {
  const { happening } = notice;
  const lines = [`${happening.message}${/[.!?]$/.test(happening.message) ? '' : '.'}`, ...repeatOf(notice)];
  if (happening.detail !== undefined) lines.push(happening.detail);
  if (happening.hint !== undefined) lines.push(happening.hint);
  if (repository !== undefined) lines.push(`Repository: ${repository}`);
  if (happening.policy !== undefined) lines.push(`Policy: ${happening.policy}`);
  if (happening.snapshot !== undefined) lines.push(`Snapshot: ${happening.snapshot.slice(0, 8)}`);
  if (happening.durationMs !== undefined) lines.push(`Duration: ${formatDuration(happening.durationMs)}`);
  return lines.join('\n');
}

function repeatOf({ event, count, since }: Notice): string[] {
  if (since === undefined) return [];
  if (event === 'recovery') return [`It had failed ${times(count)}, first at ${localTime(since)}.`];
  return [`It happened ${times(count)} since it was told last, first at ${localTime(since)}.`];
}

function times(count: number): string {
  return count === 1 ? 'once' : `${count} times`;
}

function listOf(notices: readonly Notice[], { repository }: ComposeFacts): string {
  const lines = notices.slice(0, shownAtMost).map((notice) => {
    const repeat =
      notice.since === undefined ? '' : ` (${times(notice.count)}, first at ${localTime(notice.since)})`;
    return `- ${subjectOf(notice)}: ${oneLine(sentenceOf(notice.happening))}${repeat}`;
  });
  const more = notices.length - shownAtMost;
  return [
    ...(repository === undefined ? [] : [`Repository: ${repository}`]),
    ...lines,
    ...(more > 0 ? [`- and ${more} more`] : []),
  ].join('\n');
}

function fieldsOf(notices: readonly Notice[], { host, repository, nowMs }: ComposeFacts): TemplateFields {
  const all = (pick: (notice: Notice) => string | undefined): string =>
    [...new Set(notices.flatMap((notice) => pick(notice) ?? []))].join(', ');
  const durationMs = notices.reduce((sum, { happening }) => sum + (happening.durationMs ?? 0), 0);
  return {
    event: '',
    title: '',
    message: '',
    volume: all(({ happening }) => happening.subject),
    stack: all(({ happening }) => happening.stack),
    policy: all(({ happening }) => happening.policy),
    snapshot: all(({ happening }) => happening.snapshot),
    detail: all(({ happening }) => happening.detail),
    hint: all(({ happening }) => happening.hint),
    host,
    repository: repository ?? '',
    time: new Date(nowMs).toISOString(),
    count: String(notices.reduce((sum, { count }) => sum + count, 0)),
    since: notices.flatMap(({ since }) => since ?? []).sort()[0] ?? '',
    duration: durationMs > 0 ? formatDuration(durationMs) : '',
  };
}

/** With the first line of the detail from an engine or a program. */
export function sentenceOf({ message, detail }: Happening): string {
  const [first = ''] = detail?.split('\n') ?? [];
  return first === '' || message.includes(first) ? message : `${message}: ${first}`;
}

/** A title becomes an HTTP or mail header: no line break may end it early. */
function oneLine(text: string): string {
  return text.replace(/[\p{Cc}\p{Zl}\p{Zp}]+/gu, ' ').trim();
}
