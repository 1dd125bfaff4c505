import { median } from '../statistics.ts';

/** `holdfast bench` and fio by hand in one round. */
export interface Pair {
  readonly bench: number;
  readonly hand: number;
}

export interface Agreement {
  readonly title: string;
  readonly unit: 'commits' | 'bytes' | 'operations' | 'ms';
  readonly bench: number;
  readonly hand: number;
  /** The middle of bench/fio over the rounds. */
  readonly ratio: number;
  /** Where the true middle lies with a certainty of 95%; undefined with fewer than six rounds. */
  readonly range: readonly [least: number, most: number] | undefined;
  /** `unclear` where the rounds differ by more than they can tell. */
  readonly verdict: 'agrees' | 'differs' | 'unclear';
}

const aim = 0.1;

/** How far the two agree; undefined without a round. Pure. */
export function agreementOf(
  { title, unit }: Pick<Agreement, 'title' | 'unit'>,
  pairs: readonly Pair[],
): Agreement | undefined {
  const ratios = pairs.map(({ bench, hand }) => bench / hand).filter((one) => Number.isFinite(one));
  const ratio = median(ratios);
  const [bench, hand] = [median(pairs.map((one) => one.bench)), median(pairs.map((one) => one.hand))];
  if (ratio === undefined || bench === undefined || hand === undefined) return undefined;
  const range = rangeOfMedian(ratios);
  return { title, unit, bench, hand, ratio, range, verdict: verdictOf(ratio, range) };
}

function verdictOf(ratio: number, range: Agreement['range']): Agreement['verdict'] {
  const isNear = (one: number): boolean => Math.abs(one - 1) <= aim;
  // A few rounds that happen to agree prove as little as a few that do not.
  if (range === undefined) return 'unclear';
  if (isNear(ratio)) return range.every(isNear) ? 'agrees' : 'unclear';
  const [least, most] = range;
  return least > 1 + aim || most < 1 - aim ? 'differs' : 'unclear';
}

const certainty = 0.95;

/** By the order of the values alone, whatever their distribution: how many of n coins show heads. */
function rangeOfMedian(values: readonly number[]): Agreement['range'] {
  const sorted = values.toSorted((a, b) => a - b);
  const count = sorted.length;
  let [below, chance] = [0, 0.5 ** count];
  let outside = chance;
  if (2 * outside > 1 - certainty) return undefined;
  for (;;) {
    chance *= (count - below) / (below + 1);
    if (2 * (outside + chance) > 1 - certainty) break;
    outside += chance;
    below += 1;
  }
  return [sorted[below] ?? 0, sorted[count - 1 - below] ?? 0];
}

const headings = ['', 'holdfast bench', 'fio by hand', 'bench/fio', '95% sure', ''];

/** A table, and in words what does not agree. Pure. */
export function formatAgreements(agreements: readonly Agreement[]): string {
  const lines = agreements.map(({ title, unit, bench, hand, ratio, range, verdict }) => [
    title,
    formatValue(unit, bench),
    formatValue(unit, hand),
    ratio.toFixed(3),
    range === undefined ? 'too few rounds' : range.map((one) => one.toFixed(2)).join('–'),
    verdict,
  ]);
  const all = [headings, ...lines];
  const widths = headings.map((_, column) => Math.max(...all.map((line) => line[column]?.length ?? 0)));
  const table = all.map((line) =>
    line
      .map((cell, column) =>
        column === 0 || column === 5 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0),
      )
      .join('   ')
      .trimEnd(),
  );
  return [...table, '', inWords(agreements)].join('\n');
}

function inWords(agreements: readonly Agreement[]): string {
  const count = (verdict: Agreement['verdict']): number =>
    agreements.filter((one) => one.verdict === verdict).length;
  return `Of ${agreements.length} figures ${count('agrees')} agree within 10%, ${count('differs')} differ by more, and ${count('unclear')} vary too much from round to round to tell.`;
}

function formatValue(unit: Agreement['unit'], value: number): string {
  if (unit === 'ms') return `${value.toFixed(3)} ms`;
  if (unit === 'bytes') return `${(value / 1e6).toFixed(0)} MB/s`;
  return `${value.toFixed(0)}/s`;
}
