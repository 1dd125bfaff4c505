import { parse } from 'yaml';
import { AppError, errorMessage } from '../../model/errors.ts';
import { compileGlob, type Glob, matchesGlob } from '../../model/glob.ts';
import { quote } from '../../model/quote.ts';
import type { AuditedProject, AuditView } from './audit-view.ts';
import type { Alarm, Rule } from './rule.ts';
import { retiredIds, rules } from './rules.ts';

/** Why a finding does not count. */
export interface Suppression {
  /** `line`: a comment beside the value. `file`: an entry of the file of suppressions. */
  readonly by: 'line' | 'file';
  readonly reason: string;
  /** `2027-01-31`; undefined for one without an end. */
  readonly until: string | undefined;
}

export interface SuppressionFile {
  readonly file: string;
  readonly entries: readonly SuppressionEntry[];
  /** False for an alarm of which the file has no say; a file without it has a say of all. */
  readonly covers?: (alarm: Alarm) => boolean;
}

interface SuppressionEntry {
  readonly rule: string;
  /** A pattern of names; undefined for all. */
  readonly subject: Glob | undefined;
  readonly reason: string;
  readonly until: string | undefined;
}

/** The name under which it is found in a project's folder. */
export const suppressionFileName = '.holdfast-audit.yaml';

/** Throws `usage` for a file that is not usable: nothing must be silent by mistake. Pure. */
export function parseSuppressions(content: string, file: string): SuppressionFile {
  const document = readYaml(content, file);
  const list = (document as { readonly ignore?: unknown } | null)?.ignore ?? [];
  if (!Array.isArray(list)) throw unusable(file, '"ignore" must be a list');
  return { file, entries: list.map((entry, index) => readEntry(entry, `${file}: ignore[${index}]`)) };
}

function readYaml(content: string, file: string): unknown {
  try {
    return parse(content, { maxAliasCount: 0, prettyErrors: false });
  } catch (error) {
    throw unusable(file, errorMessage(error));
  }
}

const keys = ['rule', 'subject', 'reason', 'until'];

function readEntry(entry: unknown, where: string): SuppressionEntry {
  if (entry === null || typeof entry !== 'object' || Array.isArray(entry))
    throw unusable(where, 'must be a mapping with "rule" and "reason"');
  const fields = entry as Readonly<Record<string, unknown>>;
  const unknown = Object.keys(fields).find((key) => !keys.includes(key));
  if (unknown !== undefined)
    throw unusable(where, `${quote(unknown)} is unknown; there are ${keys.join(', ')}`);
  const { rule, subject, reason, until } = fields;
  if (typeof rule !== 'string' || !isRuleId(rule))
    throw unusable(where, '"rule" must be an id such as HF-V001');
  if (typeof reason !== 'string' || reason.trim() === '') throw unusable(where, '"reason" must say why');
  if (subject !== undefined && typeof subject !== 'string') throw unusable(where, '"subject" must be a name');
  if (until !== undefined && (typeof until !== 'string' || !isDay(until)))
    throw unusable(where, '"until" must be a day such as "2027-01-31"');
  return { rule, subject: subject && compileGlob(subject, subject), reason, until };
}

function isRuleId(text: string): boolean {
  return /^HF-[A-Z]\d{3}$/.test(text);
}

function isDay(text: string): boolean {
  return /^\d{4}-\d{2}-\d{2}$/.test(text) && !Number.isNaN(Date.parse(text));
}

function unusable(where: string, problem: string): AppError {
  return new AppError('usage', `The suppressions in ${quote(where)} cannot be used: ${problem}`, {
    hint: 'See docs/guides/audit.md for what such a file holds.',
  });
}

/**
 * What the file in a project's folder has a say of when the whole host is asked for: services of the project, its
 * volumes and what it mounts, unless another stack made the volume. Repositories and the machine itself belong to the host. Pure.
 */
export function coverageOf({ services, volumes }: AuditView, stack: string): (alarm: Alarm) => boolean {
  const own = services.filter((service) => service.stack === stack);
  const ownKeys = new Set(own.map(({ key }) => key));
  const mounted = new Set(own.flatMap(({ mounts }) => mounts.map(({ source }) => source)));
  const owners = new Map(volumes.map((volume) => [volume.name, volume.stack]));
  return ({ subject: { kind, name }, key, place }) => {
    const isPlacedHere = place.project?.project.name === stack;
    if (kind === 'repository' || kind === 'host') return false;
    const owner = owners.get(name);
    if (kind === 'volume') return owner === undefined ? isPlacedHere || mounted.has(name) : owner === stack;
    return isPlacedHere || ownKeys.has(key.split(' ')[0] ?? '') || (kind === 'path' && mounted.has(name));
  };
}

/** Why an alarm does not count, or undefined when it does. Pure. */
export function suppressionOf(
  rule: Pick<Rule, 'id'>,
  alarm: Alarm,
  files: readonly SuppressionFile[],
  today: string,
): Suppression | undefined {
  return besideLine(rule, alarm) ?? inFiles(rule, alarm, files, today);
}

/** `holdfast ignore=HF-V001,HF-S002 reason`: of the value, or of one around it down to the service. */
function besideLine({ id }: Pick<Rule, 'id'>, { place: { project, path } }: Alarm): Suppression | undefined {
  if (project === undefined || path === undefined) return undefined;
  for (let length = path.length; length >= Math.min(2, path.length); length--) {
    for (const { text } of project.project.commentsOf(path.slice(0, length))) {
      const found = /^holdfast\s+ignore=(\S+)\s+(\S.*)$/.exec(text);
      if (found?.[1]?.split(',').includes(id) === true)
        return { by: 'line', reason: found[2] ?? '', until: undefined };
    }
  }
  return undefined;
}

function inFiles(
  { id }: Pick<Rule, 'id'>,
  alarm: Alarm,
  files: readonly SuppressionFile[],
  today: string,
): Suppression | undefined {
  const { subject } = alarm;
  const entry = files
    .filter(({ covers }) => covers?.(alarm) !== false)
    .flatMap(({ entries }) => entries)
    .find(
      ({ rule, subject: pattern, until }) =>
        rule === id &&
        (pattern === undefined || matchesGlob(pattern, subject.name)) &&
        (until === undefined || until >= today),
    );
  return entry && { by: 'file', reason: entry.reason, until: entry.until };
}

/** Remarks on entries whose end has come: they silence nothing any more. Pure. */
export function spentSuppressions(files: readonly SuppressionFile[], today: string): string[] {
  return files.flatMap(({ file, entries }) =>
    entries
      .filter(({ until }) => until !== undefined && until < today)
      .map(({ rule, until }) => `${quote(file)} silences ${rule} until ${until}: that day is over`),
  );
}

/** Remarks on what was meant to silence something, and silences nothing: an id that no rule has, or no reason. Pure. */
export function idleSuppressions(
  files: readonly SuppressionFile[],
  projects: readonly AuditedProject[],
): string[] {
  const ofFiles = files.flatMap(({ file, entries }) =>
    entries.flatMap(({ rule }) =>
      unknownReason(rule).map((why) => `${quote(file)} silences nothing: ${why}`),
    ),
  );
  return [...new Set([...ofFiles, ...projects.flatMap(idleComments)])];
}

const linesAtMost = 100_000;

function idleComments({ project, lineAt }: AuditedProject): string[] {
  return project.files.flatMap((file) => {
    const idle: string[] = [];
    for (let line = 1; line <= linesAtMost; line++) {
      const text = lineAt({ file, line, column: 1 });
      if (text === undefined) break;
      const [, ids, reason] = /#\s*holdfast\s+ignore=(\S+)(?:\s+(\S))?/.exec(text) ?? [];
      if (ids === undefined) continue;
      const reasons = [
        ...(reason === undefined ? ['it gives no reason'] : []),
        ...ids.split(',').flatMap(unknownReason),
      ];
      idle.push(
        ...reasons.map((why) => `The comment at ${quote(file)}, line ${line}, silences nothing: ${why}`),
      );
    }
    return idle;
  });
}

function unknownReason(id: string): string[] {
  if (rules.some((rule) => rule.id === id)) return [];
  const now = retiredIds[id];
  return [now === undefined ? `no rule is called ${quote(id)}` : `${quote(id)} is ${quote(now)} by now`];
}
