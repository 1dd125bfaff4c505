import { grouped } from '../../model/size.ts';
import { formatLatency, type Measure, type MeasureName } from '../../model/benchmark.ts';

/** With what was measured: figures compare only where these are equal. */
export interface BenchMeans {
  /** `fio-3.39`, or `built-in`. */
  readonly tool: string;
  readonly isQuick: boolean;
  readonly isDirect: boolean;
  readonly sizeBytes: number;
}

export interface Change {
  readonly name: MeasureName;
  readonly before: number;
  readonly now: number;
  /** Positive is faster. */
  readonly percent: number;
}

/** Rates beside others; pure. */
export function compareRates(now: readonly Measure[], before: readonly Measure[]): Change[] {
  return now.flatMap(({ name, rate }) => {
    const other = before.find((measure) => measure.name === name)?.rate;
    if (other === undefined || other <= 0) return [];
    return [{ name, before: other, now: rate, percent: ((rate - other) / other) * 100 }];
  });
}

/** The middle of what earlier runs with the same means have measured; pure. */
export function usualRates(runs: readonly (readonly Measure[])[]): Measure[] {
  const names = [...new Set(runs.flatMap((measures) => measures.map(({ name }) => name)))];
  return names.map((name) => {
    const rates = runs
      .flatMap((measures) => measures.filter((one) => one.name === name).map(({ rate }) => rate))
      .toSorted((a, b) => a - b);
    return { name, rate: rates[Math.floor(rates.length / 2)] ?? 0, latency: undefined };
  });
}

const fastP99Ms = 10;
const slowP99Ms = 50;
/** No disk makes anything durable in this time: it came from a cache, or from memory. */
const unbelievableMs = 0.015;

/** One sentence: what this is good for. Undefined where no commits were measured. Pure. */
export function verdictOf(measures: readonly Measure[], isMemory: boolean): string | undefined {
  const commits = measures.find(({ name }) => name === 'commit-8k');
  const { latency } = commits ?? {};
  if (commits === undefined || latency === undefined) return undefined;
  const count = commits.rate < 10 ? commits.rate.toFixed(1) : grouped(Math.round(commits.rate));
  const figures = `one client can commit ${count} times a second, 99% within ${formatLatency(latency.p99Ms)}`;
  if (isMemory) return `In memory, and lost when it is unmounted, whatever its speed: ${figures}.`;
  if (isUnbelievable(commits))
    return `Too fast to be true: ${figures}. What it says is durable lies in a cache; a power cut loses commits.`;
  if (latency.p99Ms <= fastP99Ms) return `Fast enough for PostgreSQL: ${figures}.`;
  if (latency.p99Ms <= slowP99Ms)
    return `Enough for a PostgreSQL with little to write: ${figures}. Busy databases want 99% within 10 ms.`;
  return `Too slow for a database: ${figures}. It should be 10 ms.`;
}

function isUnbelievable({ latency }: Measure): boolean {
  return latency !== undefined && latency.p50Ms < unbelievableMs;
}

export interface BenchCircumstances extends BenchMeans {
  readonly isMemory: boolean;
  readonly memoryBytes: number;
  /** The least share of processor time that was idle during a measurement. */
  readonly idlePercent: number;
}

/** Below this, latencies are the machine's and not the disk's. */
const idleAtLeastPercent = 40;

/** Why figures may not be what they seem; pure. */
export function warningsOf(measures: readonly Measure[], facts: BenchCircumstances): string[] {
  const { tool, isDirect, sizeBytes, memoryBytes, idlePercent, isMemory } = facts;
  const warnings: string[] = [];
  const hasReads = measures.some(({ name }) => name === 'stream-read' || name === 'random-read');
  if (tool === 'built-in')
    warnings.push(
      'fio is not installed: this is a simple test of our own, without reads and without random access. On Debian: apt-get install fio.',
    );
  if (!isMemory && hasReads && !isDirect && sizeBytes < 2 * memoryBytes)
    warnings.push(
      'Reads are not the disk’s: its file system takes no direct I/O, and what was just written lies in memory.',
    );
  const commits = measures.filter(({ name }) => name.startsWith('commit-'));
  if (!isMemory && commits.some(isUnbelievable))
    warnings.push('Commits cannot be true: no disk makes them durable in that time.');
  if (idlePercent < idleAtLeastPercent)
    warnings.push(
      `The processors were idle for only ${Math.round(idlePercent)}% of the time: latencies are those of a busy machine.`,
    );
  return warnings;
}
