import type { BenchReport, VolumeBenchmark } from '../../../app/app.ts';
import {
  type BenchProfile,
  benchProfiles,
  formatLatency,
  measureFacts,
  type MeasureName,
} from '../../../model/benchmark.ts';
import { formatAge } from '../../../model/duration.ts';
import { AppError } from '../../../model/errors.ts';
import { printableField, quote } from '../../../model/quote.ts';
import { amount, formatSize, formatWholeSize, grouped, parseSize } from '../../../model/size.ts';
import type { Session } from '../session.ts';
import { formatTable } from '../table.ts';

export interface BenchFlags {
  readonly quick?: boolean;
  readonly profile?: readonly string[];
  readonly size?: string;
}

export async function runBench(
  session: Session,
  { quick = false, profile = [], size }: BenchFlags,
  volumes: readonly string[],
): Promise<void> {
  if (volumes.length > 2) throw new AppError('usage', 'Two volumes can be seen side by side, and not more');
  for (const name of volumes) refusePath(name);
  const profiles = profile.flatMap((words) => words.split(',')).map(profileOf);
  const sizeBytes = size === undefined ? undefined : sizeOf(size);
  const { signal, note } = session;
  const duration = `about ${expectedSeconds(profiles, quick)} seconds${volumes.length > 1 ? ' each' : ''}`;
  note(`Measuring ${volumes.map(quote).join(' and then ')}: ${duration}.`);
  const request = { volumes, profiles, isQuick: quick, sizeBytes };
  const report = await session.app.benchmarks.run(request, { signal, onNote: note });
  session.printer.print({
    json: () => report,
    text: () => describe(report),
    quiet: () => report.volumes.flatMap(({ verdict }) => verdict ?? []),
  });
  for (const { volume, warnings } of report.volumes)
    for (const warning of warnings) session.warn(`Warning: ${printableField(volume)}: ${warning}`);
}

function refusePath(name: string): void {
  if (!/^[./]/.test(name)) return;
  throw new AppError('usage', `Cannot measure ${quote(name)}: it is a path, and no volume`, {
    hint: 'Name a volume of "holdfast volume ls". How to measure a folder with fio by hand is in docs/guides/volume-bench.md.',
  });
}

/** What the tests take, and about a fifth for the files that they need. */
function expectedSeconds(profiles: readonly BenchProfile[], isQuick: boolean): number {
  const wanted: readonly BenchProfile[] = profiles.length === 0 ? benchProfiles : profiles;
  const tests = wanted.filter((profile) => profile !== 'files').length * 2;
  // What is read at random must have been written.
  const fill = wanted.includes('random') && !wanted.includes('stream') ? 1 : 0;
  const seconds = Math.max(2, (tests + fill) * (isQuick ? 2 : 12) * 1.2);
  return seconds < 20 ? Math.ceil(seconds) : Math.round(seconds / 5) * 5;
}

function profileOf(name: string): (typeof benchProfiles)[number] {
  const found = benchProfiles.find((profile) => profile === name);
  if (found !== undefined) return found;
  throw new AppError('usage', `There is no profile ${quote(name)}`, {
    hint: `There is ${benchProfiles.join(', ')}.`,
  });
}

const leastBytes = 1 << 20;

function sizeOf(text: string): number {
  const bytes = parseSize(text);
  if (bytes >= leastBytes) return Math.floor(bytes / leastBytes) * leastBytes;
  throw new AppError('usage', `${quote(text)} is too small for a benchmark: it is 1 MiB or more`);
}

function describe({ volumes, comparison }: BenchReport): string {
  const [first, second] = volumes;
  const parts = volumes.map(describeOne);
  if (first !== undefined && second !== undefined) {
    const rows = comparison.map(({ name, before, now, percent }) => ({ name, before, now, percent }));
    parts.push(
      formatTable(rows, [
        { title: 'SIDE BY SIDE', value: ({ name }) => measureFacts[name].title },
        { title: first.volume, value: ({ name, before }) => formatRate(name, before), align: 'right' },
        { title: second.volume, value: ({ name, now }) => formatRate(name, now), align: 'right' },
        { title: 'CHANGE', value: ({ percent }) => formatPercent(percent), align: 'right' },
      ]),
    );
  }
  return parts.join('\n\n');
}

function describeOne(benchmark: VolumeBenchmark): string {
  const { volume, driver, tool, sizeBytes, isDirect, measures, verdict, past, ddRate } = benchmark;
  const changes = new Map(past?.changes.map(({ name, percent }) => [name, percent]));
  const way = isDirect ? 'past the page cache' : 'through the page cache';
  const head = `${printableField(volume)} (${printableField(driver)}), by ${printableField(tool)}, ${formatWholeSize(sizeBytes)}, ${way}`;
  const table = formatTable(measures, [
    { title: 'TEST', value: ({ name }) => measureFacts[name].title },
    { title: 'RATE', value: ({ name, rate }) => formatRate(name, rate), align: 'right' },
    ...(['p50Ms', 'p99Ms', 'p999Ms'] as const).map((key, index) => ({
      title: ['HALF WITHIN', '99%', '99.9%'][index] ?? '',
      value: ({ latency }: (typeof measures)[number]) =>
        latency === undefined ? '' : formatLatency(latency[key]),
      align: 'right' as const,
    })),
    ...(past === undefined
      ? []
      : [
          {
            title: 'THAN BEFORE',
            value: ({ name }: (typeof measures)[number]) => formatPercent(changes.get(name)),
            align: 'right' as const,
          },
        ]),
  ]);
  const lines = [head, '', table, ''];
  if (verdict !== undefined) lines.push(verdict);
  if (past !== undefined)
    lines.push(
      `Before: the middle of ${amount(past.runs, 'run')}, the oldest ${formatAge(past.since, new Date())}.`,
    );
  if (ddRate !== undefined)
    lines.push(
      `"dd if=/dev/zero bs=1M" says ${formatSize(ddRate)}/s: that is how fast zeros go into memory, and no measure of this volume.`,
    );
  return lines.join('\n');
}

function formatRate(name: MeasureName, rate: number): string {
  const { unit } = measureFacts[name];
  if (unit === 'bytes') return `${formatSize(rate)}/s`;
  const count = rate < 10 ? rate.toFixed(1) : grouped(Math.round(rate));
  return `${count}${unit === 'commits' ? ' commits' : ''}/s`;
}

function formatPercent(percent: number | undefined): string {
  if (percent === undefined) return '';
  // A tenth, or ten times as much, is beyond what percents are read for.
  if (percent <= -90) return `1/${Math.round(100 / Math.max(0.01, 100 + percent))}`;
  if (percent >= 900) return `×${Math.round(1 + percent / 100)}`;
  const rounded = Math.round(percent);
  return `${rounded > 0 ? '+' : ''}${rounded}%`;
}
