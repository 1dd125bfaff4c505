import { formatSize } from '../src/model/size.ts';
import type { PeerFigures, Report, ReportRow } from './build-report.ts';
import { nameStep } from './steps.ts';

const headings = ['', 'wall', 'fastest–slowest', 'cpu', 'peak memory', 'stored', 'Holdfast is'];

/** The report as a table, with everything slower, skipped and failed in words. */
export function formatReport(report: Report): string {
  const lines = report.rows.flatMap((row) => [
    [nameStep(row)],
    ...row.peers.filter(hasSomething).map(formatFigures),
  ]);
  const table = align([headings, ...lines]);
  return [table, '', ...formatVerdict(report)].join('\n');
}

/** A peer that cannot do a step has no line in it. */
function hasSomething({ wallMs, problem }: PeerFigures): boolean {
  return wallMs !== undefined || problem !== undefined;
}

function formatFigures(figures: PeerFigures): string[] {
  const { peer, wallMs, cpuMs, peakBytes, storedBytes, ratio, problem } = figures;
  if (wallMs === undefined) return [`  ${peer}`, problem === undefined ? '–' : 'failed'];
  return [
    `  ${peer}`,
    formatSeconds(wallMs.median),
    `${formatSeconds(wallMs.least)}–${formatSeconds(wallMs.most)}`,
    cpuMs === undefined ? '–' : formatSeconds(cpuMs.median),
    peakBytes === undefined ? '–' : formatSize(peakBytes),
    storedBytes === undefined ? '' : formatSize(storedBytes),
    ratio === undefined ? '' : formatRatio(ratio),
  ];
}

export function formatRatio(ratio: number): string {
  return `${ratio.toFixed(2)}×${ratio < 1 ? ' slower' : ''}`;
}

function formatSeconds(milliseconds: number): string {
  return milliseconds < 1000 ? `${milliseconds.toFixed(0)} ms` : `${(milliseconds / 1000).toFixed(2)} s`;
}

function formatVerdict(report: Report): string[] {
  const slower = report.rows.flatMap(slowerThan);
  return [
    ...(slower.length === 0 ? [] : ['Holdfast is slower than:', ...slower.map((line) => `  ${line}`)]),
    ...report.skipped.map(({ name, reason }) => `Skipped "${name}": ${reason}.`),
    ...report.failures.map((failure) => `FAILED: ${failure}`),
  ];
}

function slowerThan(row: ReportRow): string[] {
  const faster = row.peers.flatMap(({ peer, ratio }) =>
    ratio !== undefined && ratio < 1 ? [`${peer} (${ratio.toFixed(2)}×)`] : [],
  );
  return faster.length === 0 ? [] : [`${nameStep(row)}: ${faster.join(', ')}`];
}

/**
 * The first column to the left, the others to the right; a line of one cell is a title and needs no column.
 */
function align(lines: readonly (readonly string[])[]): string {
  const widths = headings.map((_, column) =>
    Math.max(...lines.filter((line) => line.length > 1).map((line) => line[column]?.length ?? 0)),
  );
  return lines
    .map((line) =>
      line.length === 1
        ? `\n${line[0] ?? ''}`
        : line
            .map((cell, column) =>
              column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0),
            )
            .join('   ')
            .trimEnd(),
    )
    .join('\n');
}
