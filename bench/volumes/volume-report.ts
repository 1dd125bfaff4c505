import { formatRatio } from '../format-report.ts';
import { median, speedRatio, summarize, type Summary } from '../statistics.ts';
import type { Samples } from './samples.ts';
import type { Aim, VolumeRow } from './volume-rows.ts';

export interface VolumeFigures {
  readonly title: string;
  readonly holdfastMs: Summary | undefined;
  readonly dockerdMs: Summary | undefined;
  /** How many times faster Holdfast is, by the medians: below 1 it is slower. */
  readonly ratio: number | undefined;
  /** How much longer Holdfast takes: the median of the differences between consecutive measurements. */
  readonly moreMs: number | undefined;
  readonly aim: Aim;
  /** Undefined without a comparison. */
  readonly isReached: boolean | undefined;
}

/** Turns measurements into figures. Pure. */
export function volumeFigures(rows: readonly VolumeRow[], samples: Samples): VolumeFigures[] {
  return rows.map(({ title, aim }) => {
    const [own, other] = [samples.of(title, 'Holdfast'), samples.of(title, 'dockerd')];
    const [holdfastMs, dockerdMs] = [summarize(own), summarize(other)];
    const ratio = speedRatio(holdfastMs?.median, dockerdMs?.median);
    const moreMs = median(other.map((ms, turn) => (own[turn] ?? Number.NaN) - ms));
    return { title, holdfastMs, dockerdMs, ratio, moreMs, aim, isReached: isReached(aim, { ratio, moreMs }) };
  });
}

function isReached(
  aim: Aim,
  { ratio, moreMs }: Pick<VolumeFigures, 'ratio' | 'moreMs'>,
): boolean | undefined {
  if (ratio === undefined || moreMs === undefined) return undefined;
  return aim.kind === 'at most more' ? moreMs <= aim.ms : ratio >= aim.times;
}

const headings = ['', 'Holdfast', 'fastest–slowest', 'dockerd', 'fastest–slowest', 'Holdfast is', 'aim'];

/** The figures as a table, with every missed aim in words. */
export function formatVolumeFigures(figures: readonly VolumeFigures[]): string {
  const lines = figures.map((row) => [
    row.title,
    ...formatSummary(row.holdfastMs),
    ...formatSummary(row.dockerdMs),
    formatComparison(row),
    row.aim.kind === 'at most more' ? `${row.aim.ms} ms more` : `${row.aim.times}×`,
  ]);
  const missed = figures.filter((row) => row.isReached === false);
  return [
    align([headings, ...lines]),
    ...(missed.length === 0
      ? []
      : ['', 'Missed:', ...missed.map((row) => `  ${row.title}: ${formatComparison(row)}`)]),
  ].join('\n');
}

function formatComparison({ aim, ratio, moreMs }: VolumeFigures): string {
  if (ratio === undefined || moreMs === undefined) return '–';
  if (aim.kind === 'times faster') return formatRatio(ratio);
  return moreMs < 0 ? `${(-moreMs).toFixed(1)} ms less` : `${moreMs.toFixed(1)} ms more`;
}

function formatSummary(summary: Summary | undefined): string[] {
  if (summary === undefined) return ['–', ''];
  return [formatMs(summary.median), `${formatMs(summary.least)}–${formatMs(summary.most)}`];
}

function formatMs(ms: number): string {
  return ms < 1000 ? `${ms.toFixed(1)} ms` : `${(ms / 1000).toFixed(2)} s`;
}

function align(lines: readonly (readonly string[])[]): string {
  const widths = headings.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)));
  return lines
    .map((line) =>
      line
        .map((cell, column) =>
          column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0),
        )
        .join('   ')
        .trimEnd(),
    )
    .join('\n');
}
