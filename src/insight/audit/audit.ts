import path from 'node:path';
import { writeDurably } from '../../lib/durable-file.ts';
import { knownError } from '../../lib/known-error.ts';
import { AppError, isAppError } from '../../model/errors.ts';
import { quote } from '../../model/quote.ts';
import type { AuditRequest, AuditSources } from './audit-request.ts';
import type { AuditReport } from './audit-report.ts';
import type { AuditView } from './audit-view.ts';
import { formatBaseline, parseBaseline } from './baseline.ts';
import { find, type Found } from './find.ts';
import { gatherView } from './gather-view.ts';
import { readSmallFile } from './read-small-file.ts';
import { rules } from './rules.ts';
import {
  coverageOf,
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
    notes: [...notes, ...unused, ...spentSuppressions(files, today)],
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
