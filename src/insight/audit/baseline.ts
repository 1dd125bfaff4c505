import { AppError } from '../../model/errors.ts';
import { parseJson } from '../../model/parse-json.ts';
import { quote } from '../../model/quote.ts';
import type { AuditFinding } from './audit-report.ts';

const format = 'holdfast-audit-baseline';

/** The document of a baseline: what was known at a time, so that only what is new counts. Pure. */
export function formatBaseline(findings: readonly AuditFinding[]): string {
  const known = findings
    .map(({ fingerprint, id, subject }) => ({ fingerprint, id, subject: `${subject.kind} ${subject.name}` }))
    .toSorted((a, b) => (a.id + a.subject + a.fingerprint < b.id + b.subject + b.fingerprint ? -1 : 1));
  return `${JSON.stringify({ format, version: 1, findings: known }, undefined, 2)}\n`;
}

/** The fingerprints in a baseline. Throws `usage` for another file: everything would be new, or nothing. Pure. */
export function parseBaseline(content: string, file: string): ReadonlySet<string> {
  const document = parseJson(content) as Readonly<Record<string, unknown>> | undefined;
  const { findings } = document ?? {};
  if (document?.['format'] !== format || document['version'] !== 1 || !Array.isArray(findings))
    throw new AppError('usage', `Cannot use the baseline ${quote(file)}: it is none of this program’s`, {
      hint: 'Name a file that does not exist yet, and it is written.',
    });
  return new Set(
    findings.flatMap((one: { readonly fingerprint?: unknown } | null) =>
      typeof one?.fingerprint === 'string' ? [one.fingerprint] : [],
    ),
  );
}
