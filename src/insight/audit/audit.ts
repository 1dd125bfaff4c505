import path from 'node:path';
import { writeDurably } from '../../lib/durable-file.ts';
import { knownError } from '../../lib/known-error.ts';
import { AppError, isAppError } from '../../model/errors.ts';
import { parseJson } from '../../model/parse-json.ts';
import { quote } from '../../model/quote.ts';
import type { AuditRequest, AuditSources } from './audit-request.ts';
import type { AuditFinding, AuditReport } from './audit-report.ts';
import type { AuditView } from './audit-view.ts';
import { find, type Found } from './find.ts';
import { gatherView } from './gather-view.ts';
import { readSmallFile } from './read-small-file.ts';
import { rules } from './rules.ts';
import {
  coverageOf,
  idleSuppressions,
  parseSuppressions,
  spentSuppressions,
  type SuppressionFile,
  suppressionFileName,
  suppressionOf,
} from './suppressions.ts';

/** Looks at a stack, a file or the whole host, and says what is not well. Changes nothing but the baseline. */
export async function audit(sources: AuditSources, request: AuditRequest): Promise<AuditReport> {
  const { view, isMeant, looked, refused, notes } = await gatherView(sources, request);
  const { files, unused } = await loadSuppressions(view, request);
  const today = new Date(sources.now()).toISOString().slice(0, 'YYYY-MM-DD'.length);
  const asked = rules.filter(({ onRequest }) => request.allRules === true || onRequest !== true);
  const found = find(view, asked).filter(({ alarm }) => isMeant(alarm));
  const { counting, suppressed } = withoutSuppressed(found, files, today);
  const baseline = await loadBaseline(request);
  const isNew = ({ finding }: Found): boolean => baseline?.has(finding.fingerprint) !== true;
  const isWritten = request.baseline !== undefined && baseline === undefined;
  if (isWritten) await writeBaseline(request, counting);
  return {
    findings: isWritten ? [] : counting.filter(isNew).map(({ finding }) => finding),
    known: counting.filter((one) => isWritten || !isNew(one)).map(({ finding }) => finding),
    suppressed,
    files: view.projects.flatMap(({ project }) => project.files),
    ...looked,
    refused,
    notes: [
      ...notes,
      ...unused,
      ...spentSuppressions(files, today),
      ...idleSuppressions(files, view.projects),
    ],
    baselineWritten: isWritten ? request.baseline : undefined,
  };
}

function withoutSuppressed(
  found: readonly Found[],
  files: readonly SuppressionFile[],
  today: string,
): { readonly counting: readonly Found[]; readonly suppressed: AuditReport['suppressed'] } {
  const judged = found.map((one) => ({
    one,
    suppression: suppressionOf(one.rule, one.alarm, files, today),
  }));
  return {
    counting: judged.filter(({ suppression }) => suppression === undefined).map(({ one }) => one),
    suppressed: judged.flatMap(({ one, suppression }) =>
      suppression === undefined ? [] : [{ ...one.finding, suppression }],
    ),
  };
}

/**
 * Those that were named must be there; those of projects may be. One of a project that cannot be used silences
 * nothing, and does not keep the other projects of the host from being looked at.
 */
async function loadSuppressions(
  view: AuditView,
  { suppressionFiles = [], directory, target }: AuditRequest,
): Promise<{ readonly files: readonly SuppressionFile[]; readonly unused: readonly string[] }> {
  const files: SuppressionFile[] = [];
  const unused: string[] = [];
  for (const file of new Set(suppressionFiles.map((name) => path.resolve(directory, name)))) {
    const content = await readSmallFile(file);
    if (content === undefined)
      throw new AppError('not-found', `Cannot read the suppressions ${quote(file)}: there is no such file`);
    files.push(parseSuppressions(content, file));
  }
  for (const { project } of view.projects) {
    const file = path.join(project.directory, suppressionFileName);
    if (files.some((other) => other.file === file && other.covers === undefined)) continue;
    try {
      const content = await readSmallFile(file);
      if (content === undefined) continue;
      const parsed = parseSuppressions(content, file);
      files.push(target === undefined ? { ...parsed, covers: coverageOf(view, project.name) } : parsed);
    } catch (error) {
      if (target !== undefined || !isAppError(error)) throw error;
      unused.push(error.message);
    }
  }
  return { files, unused };
}

async function loadBaseline(request: AuditRequest): Promise<ReadonlySet<string> | undefined> {
  if (request.baseline === undefined || request.updatesBaseline === true) return undefined;
  const file = path.resolve(request.directory, request.baseline);
  const content = await readSmallFile(file);
  return content === undefined ? undefined : parseBaseline(content, file);
}

async function writeBaseline(
  { baseline = '', directory }: AuditRequest,
  found: readonly Found[],
): Promise<void> {
  const file = path.resolve(directory, baseline);
  try {
    await writeDurably(file, formatBaseline(found.map(({ finding }) => finding)), { mode: 0o644 });
  } catch (error) {
    throw knownError(error, `Cannot write the baseline ${quote(file)}`);
  }
}

const baselineFormat = 'holdfast-audit-baseline';

/** The document of a baseline: what was known at a time, so that only what is new counts. Pure. */
function formatBaseline(findings: readonly AuditFinding[]): string {
  const known = findings
    .map(({ fingerprint, id, subject }) => ({ fingerprint, id, subject: `${subject.kind} ${subject.name}` }))
    .toSorted((a, b) => (a.id + a.subject + a.fingerprint < b.id + b.subject + b.fingerprint ? -1 : 1));
  return `${JSON.stringify({ format: baselineFormat, version: 1, findings: known }, undefined, 2)}\n`;
}

/** The fingerprints in a baseline. Throws `usage` for another file: everything would be new, or nothing. Pure. */
function parseBaseline(content: string, file: string): ReadonlySet<string> {
  const document = parseJson(content) as Readonly<Record<string, unknown>> | undefined;
  const { findings } = document ?? {};
  if (document?.['format'] !== baselineFormat || document['version'] !== 1 || !Array.isArray(findings))
    throw new AppError('usage', `Cannot use the baseline ${quote(file)}: it is none of this program’s`, {
      hint: 'Name a file that does not exist yet, and it is written.',
    });
  return new Set(
    findings.flatMap((one: { readonly fingerprint?: unknown } | null) =>
      typeof one?.fingerprint === 'string' ? [one.fingerprint] : [],
    ),
  );
}
