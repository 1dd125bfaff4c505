import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { version } from '../../lib/version.ts';
import type { Severity } from '../../model/finding.ts';
import type { AuditFinding, AuditReport, SuppressedFinding } from './audit-report.ts';
import { rules } from './rules.ts';

const levels: Readonly<Record<Severity, 'error' | 'warning' | 'note'>> = {
  loss: 'error',
  leak: 'error',
  downtime: 'warning',
  hygiene: 'note',
};

/**
 * The report as SARIF 2.1.0. Files are relative to `directory`, or to the folder around all of them where one
 * lies outside of it. What only the host has is at `host/KIND/NAME`, a file that does not exist: GitHub's code
 * scanning refuses the whole document when one result has no physical location. Pure.
 */
export function auditSarif(report: AuditReport, directory: string): object {
  const { findings, suppressed, known } = report;
  const all: readonly (AuditFinding | SuppressedFinding)[] = [...findings, ...known, ...suppressed];
  const base = baseOf(all, directory);
  return {
    $schema: 'https://json.schemastore.org/sarif-2.1.0.json',
    version: '2.1.0',
    runs: [
      {
        tool: {
          driver: {
            name: 'Holdfast',
            version,
            rules: rules.map(({ id, name, severity, title, meaning }) => ({
              id,
              name: pascal(name),
              shortDescription: { text: `${title}.` },
              fullDescription: { text: meaning },
              help: { text: `${title}. ${meaning}\nSee docs/guides/audit.md#${id.toLowerCase()}-${name}` },
              defaultConfiguration: { level: levels[severity] },
              properties: { tags: [severity] },
            })),
          },
        },
        invocations: [
          {
            executionSuccessful: report.refused.length === 0,
            toolExecutionNotifications: [...report.refused, ...report.notes].map((text) => ({
              level: 'warning',
              message: { text },
            })),
          },
        ],
        columnKind: 'unicodeCodePoints',
        originalUriBaseIds: { SRCROOT: { uri: `${pathToFileURL(base).href.replace(/\/$/, '')}/` } },
        results: [
          ...findings.map((finding) => resultOf(finding, base, report.known.length > 0 ? 'new' : undefined)),
          ...known.map((finding) => resultOf(finding, base, 'unchanged')),
          ...suppressed.map((finding) => ({
            ...resultOf(finding, base, undefined),
            suppressions: [
              {
                kind: finding.suppression.by === 'line' ? 'inSource' : 'external',
                status: 'accepted',
                justification: finding.suppression.reason,
              },
            ],
          })),
        ],
      },
    ],
  };
}

function baseOf(findings: readonly AuditFinding[], directory: string): string {
  let base = path.resolve(directory);
  for (const { position } of findings)
    while (position !== undefined && !isBelow(position.file, base)) base = path.dirname(base);
  return base;
}

function isBelow(file: string, folder: string): boolean {
  return folder === '/' || file.startsWith(`${folder}/`);
}

function resultOf(finding: AuditFinding, base: string, baselineState: string | undefined): object {
  const { id, severity, message, meaning, remedy, evidence, subject, position, fingerprint } = finding;
  const lines = [`${message}.`, meaning, ...evidence, `${remedy}.`];
  return {
    ruleId: id,
    ruleIndex: rules.findIndex((rule) => rule.id === id),
    level: levels[severity],
    message: { text: lines.join('\n') },
    locations: [
      {
        physicalLocation: physicalLocation(finding, base),
        logicalLocations: [
          { name: subject.name, kind: subject.kind, fullyQualifiedName: `${subject.kind}/${subject.name}` },
        ],
      },
    ],
    partialFingerprints: {
      'holdfast/v1': fingerprint,
      // GitHub tells alerts apart by this one alone, and makes it itself from the lines of files that it has.
      ...(position === undefined && { primaryLocationLineHash: fingerprint }),
    },
    ...(baselineState === undefined ? {} : { baselineState }),
  };
}

function physicalLocation({ position, subject }: AuditFinding, base: string): object {
  if (position === undefined)
    return {
      artifactLocation: { uri: asUri(['host', subject.kind, subject.name]) },
      region: { startLine: 1, startColumn: 1, endLine: 1, endColumn: 1 },
    };
  const { file, line, column } = position;
  return {
    artifactLocation: { uri: asUri(path.relative(base, file).split('/')), uriBaseId: 'SRCROOT' },
    region: { startLine: line, startColumn: column },
  };
}

/** A name with a slash in it, as of a path, is one part. */
function asUri(parts: readonly string[]): string {
  return parts.map((part) => encodeURIComponent(part.toWellFormed())).join('/');
}

/** SARIF's own form of a rule's name. */
function pascal(name: string): string {
  return name.replace(/(?:^|-)([a-z])/g, (_, letter: string) => letter.toUpperCase());
}
