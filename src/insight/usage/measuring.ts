import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { AppError } from '../../model/errors.ts';
import { parseJson } from '../../model/parse-json.ts';
import type { ByteString } from '../../model/byte-string.ts';
import { type SilenceWatch, watchSilence } from '../../lib/silence.ts';
import { workerModule } from '../../lib/worker-module.ts';
import type { Measured, MeasureQuestion, MeasureWord } from './measure-worker.ts';

/** Also a loaded machine lets a process speak within this time. */
const patienceMs = 30_000;

export interface MeasuringOptions {
  /** How long a read may say nothing. */
  readonly patienceMs?: number | undefined;
}

/** Everything was read; or one path was not, since its disk does not answer. */
export type Answer =
  | { readonly found: readonly Measured[] }
  | {
      readonly silentAt: number;
      /** False while the read still hangs: it outlasts every signal. */
      readonly hasEnded: () => boolean;
    };

/**
 * Reads sizes in a process of its own, so that a disk that does not answer stops that process alone. What it watches is
 * forgotten with it. One question at a time.
 */
export class Measuring implements Disposable {
  readonly #patienceMs: number;
  #child: ChildProcess | undefined;

  constructor({ patienceMs: given = patienceMs }: MeasuringOptions = {}) {
    this.#patienceMs = given;
  }

  /** Throws `cancelled`, and `failed` when the process cannot be started or ends. */
  async ask(
    kind: MeasureQuestion['kind'],
    paths: readonly ByteString[],
    signal: AbortSignal,
  ): Promise<Answer> {
    if (paths.length === 0) return { found: [] };
    const child = (this.#child ??= this.#start());
    const asked = Promise.withResolvers<Answer>();
    const hasEnded = (): boolean => child.exitCode !== null || child.signalCode !== null;
    // Before its first word it loads its own code, which says nothing about the disks.
    let silence: SilenceWatch = watchSilence(patienceMs, () => {
      asked.reject(new AppError('failed', 'The process that reads sizes does not begin'));
    });
    const fail = (): void => asked.reject(new AppError('failed', 'The process that reads sizes has ended'));
    const lines = createInterface({ input: child.stdout! });
    lines.on('line', (line) => {
      const word = parseJson(line) as MeasureWord | undefined;
      silence.stop();
      // It was killed while it wrote its last line.
      if (word === undefined) return fail();
      if ('found' in word) return asked.resolve(word);
      const { at } = word;
      silence = watchSilence(this.#patienceMs, () => asked.resolve({ silentAt: at, hasEnded }));
    });
    const cancel = (): void => asked.reject(new AppError('cancelled', 'Measuring was cancelled'));
    child.once('exit', fail);
    child.once('error', fail);
    signal.addEventListener('abort', cancel);
    let isDone = false;
    try {
      signal.throwIfAborted();
      child.stdin!.write(`${JSON.stringify({ kind, paths } satisfies MeasureQuestion)}\n`);
      const answer = await asked.promise;
      isDone = 'found' in answer;
      return answer;
    } finally {
      silence.stop();
      signal.removeEventListener('abort', cancel);
      child.off('exit', fail);
      child.off('error', fail);
      lines.close();
      // What still reads would answer the next question with this one's words.
      if (!isDone) this[Symbol.dispose]();
    }
  }

  #start(): ChildProcess {
    const module = fileURLToPath(workerModule('./measure-worker', import.meta.url));
    const child: ChildProcess = spawn(process.execPath, ['--max-semi-space-size=1', module], {
      stdio: ['pipe', 'pipe', 'ignore'],
      cwd: '/',
      env: {},
    });
    child.on('error', () => undefined);
    // Where no file can be opened any more, it has no streams either, and its error comes later.
    if (child.pid === undefined)
      throw new AppError('failed', 'The process that reads sizes cannot be started');
    child.stdin?.on('error', () => undefined);
    child.on('exit', () => {
      if (this.#child === child) this.#child = undefined;
    });
    // This process ends without it.
    child.unref();
    return child;
  }

  /** The next question starts another process. */
  [Symbol.dispose](): void {
    const child = this.#child;
    this.#child = undefined;
    child?.kill('SIGKILL');
    child?.stdin?.destroy();
    child?.stdout?.destroy();
  }
}
