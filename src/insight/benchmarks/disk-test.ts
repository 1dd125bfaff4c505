import { cpus } from 'node:os';
import { runProgram } from '../../lib/run-program.ts';
import { type BenchProfile, type Measure, measureFacts, type MeasureName } from '../../model/benchmark.ts';
import { AppError, isAppError } from '../../model/errors.ts';
import { type DiskMeasure, fioArguments, readFioResult } from './fio-jobs.ts';
import { simpleMeasures, simpleTest } from './simple-test.ts';
import { openTestFile, type TestFile, type TestPlace } from './test-file.ts';

interface DiskTestOptions {
  readonly isQuick: boolean;
  readonly sizeBytes: number;
  readonly hasFio: boolean;
  readonly signal: AbortSignal | undefined;
}

const quickSeconds = 2;
const fullSeconds = 12;
const pieceBytes = 1 << 20;
/** For fio to start, and for a slow disk to write what is still in memory. */
const patienceMs = 120_000;

/** The measurements of one file, one after the other: by fio, or by our own simple test. */
export class DiskTest {
  readonly #place: TestPlace;
  /** Written and then read; commits have new ones of their own. */
  readonly #file: TestFile;
  /** As much of it as was written: the rest would come from no disk. */
  #readableBytes = 0;
  readonly #options: DiskTestOptions;
  readonly documents: Partial<Record<MeasureName, unknown>> = {};
  /** The least that was seen. */
  idlePercent = 100;

  constructor(
    { place, file }: { readonly place: TestPlace; readonly file: TestFile },
    options: DiskTestOptions,
  ) {
    this.#place = place;
    this.#file = file;
    this.#options = options;
  }

  async run(profiles: readonly BenchProfile[]): Promise<Measure[]> {
    const names = Object.keys(measureFacts).filter((name): name is DiskMeasure => !name.startsWith('files-'));
    const wanted = names.filter((name) => profiles.includes(measureFacts[name].profile));
    const { hasFio } = this.#options;
    const possible = hasFio ? wanted : wanted.filter((name) => simpleMeasures.includes(name));
    const needsFill = wanted.includes('random-read') && !wanted.includes('stream-write');
    // What is read must have been written: a hole comes from no disk.
    if (hasFio && needsFill) {
      await this.#measure('stream-write');
      delete this.documents['stream-write'];
    }
    const measures: Measure[] = [];
    const inOrder = possible.toSorted((a, b) => rankOf(a) - rankOf(b));
    for (const name of inOrder) measures.push(await this.#measure(name));
    return measures.toSorted(
      (a, b) => names.indexOf(a.name as DiskMeasure) - names.indexOf(b.name as DiskMeasure),
    );
  }

  async #measure(name: DiskMeasure): Promise<Measure> {
    const before = processorTimes();
    const { sizeBytes, signal, hasFio } = this.#options;
    // A log grows into new blocks: fio by hand measures a new file, too.
    using own = name.startsWith('commit-')
      ? await openTestFile(this.#place, { sizeBytes, signal })
      : undefined;
    const file = own ?? this.#file;
    const measured = hasFio ? await this.#byFio(name, file) : await this.#simply(name, file);
    this.idlePercent = Math.min(this.idlePercent, idleShare(before, processorTimes()) * 100);
    return measured;
  }

  async #simply(measure: DiskMeasure, { fd }: TestFile): Promise<Measure> {
    const { sizeBytes, signal } = this.#options;
    return await simpleTest({ fd, measure, sizeBytes, seconds: this.#seconds, signal });
  }

  get #seconds(): number {
    return this.#options.isQuick ? quickSeconds : fullSeconds;
  }

  async #byFio(measure: DiskMeasure, { fd, isDirect }: TestFile): Promise<Measure> {
    const { signal } = this.#options;
    const isRead = measure.endsWith('-read');
    const sizeBytes = isRead ? this.#readableBytes : this.#options.sizeBytes;
    const seconds = this.#seconds;
    const engine = isDirect ? 'libaio' : 'psync';
    const args = fioArguments({ measure, sizeBytes, seconds, isDirect, engine });
    const timeoutMs = seconds * 1000 + patienceMs;
    const { stdout, stderr } = await runProgram('fio', args, {
      files: [fd],
      signal,
      timeoutMs,
      hasHelpers: true,
    });
    if (!stdout.includes('{'))
      throw new AppError('failed', 'fio measured nothing', { detail: stderr === '' ? stdout : stderr });
    const result = readFioResult(measure, stdout);
    this.documents[measure] = result.document;
    if (measure === 'stream-write')
      this.#readableBytes = Math.max(
        pieceBytes,
        Math.min(sizeBytes, result.bytes - (result.bytes % pieceBytes)),
      );
    return result.measure;
  }
}

/** Reading comes after writing in a row. */
function rankOf(name: DiskMeasure): number {
  const order = ['stream-write', 'stream-read', 'random-read', 'random-write', 'commit-2300', 'commit-8k'];
  return order.indexOf(name);
}

const ddAtMost = 256 << 20;

/** The usual speed test: zeros into the page cache. Shown beside the others, because it is so wrong. */
export async function rateOfDd(
  place: TestPlace,
  { sizeBytes, signal }: { readonly sizeBytes: number; readonly signal: AbortSignal | undefined },
): Promise<number | undefined> {
  using file = await openTestFile(place, { sizeBytes: 0, signal });
  const count = Math.max(1, Math.floor(Math.min(sizeBytes, ddAtMost) / (1 << 20)));
  const args = ['if=/dev/zero', 'of=/proc/self/fd/3', 'bs=1M', `count=${count}`];
  const started = performance.now();
  try {
    const { status } = await runProgram('dd', args, { files: [file.fd], signal, timeoutMs: patienceMs });
    return status === 0 ? ((count << 20) / (performance.now() - started)) * 1000 : undefined;
  } catch (error) {
    if (isAppError(error, 'unsupported')) return undefined;
    throw error;
  }
}

interface ProcessorTimes {
  readonly idle: number;
  readonly all: number;
}

function processorTimes(): ProcessorTimes {
  const times = cpus().map(({ times: one }) => one);
  const idle = times.reduce((sum, one) => sum + one.idle, 0);
  const all = times.reduce(
    (sum, { user, nice, sys, idle: free, irq }) => sum + user + nice + sys + free + irq,
    0,
  );
  return { idle, all };
}

function idleShare(before: ProcessorTimes, after: ProcessorTimes): number {
  const all = after.all - before.all;
  return all <= 0 ? 1 : (after.idle - before.idle) / all;
}
