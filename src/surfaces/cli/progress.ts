import type { Progress, VolumeProgress } from '../../app/app.ts';
import { formatSize, grouped } from '../../model/size.ts';
import { formatDuration } from '../../model/duration.ts';
import { printableField, printableJson } from '../../model/quote.ts';
import type { Terminal } from './terminal.ts';

/** Shows a job's progress until it is disposed. */
export interface ProgressLine extends Disposable {
  readonly onProgress: (progress: Progress) => void;
  /** The same for work on a volume, which reports less. */
  readonly onVolumeProgress: (progress: VolumeProgress) => void;
}

export interface ProgressOptions {
  readonly title: string;
  readonly form: 'none' | 'json' | 'text';
  readonly terminal: Pick<Terminal, 'stderr'>;
  readonly now?: () => number;
}

/** One line that repaints itself on a terminal, a plain line every few seconds elsewhere; JSON is one object a line. */
export function openProgress(options: ProgressOptions): ProgressLine {
  const shown = chooseForm(options);
  return {
    ...shown,
    onVolumeProgress: ({ bytes, files }) =>
      shown.onProgress({
        phase: '',
        filesDone: files,
        filesTotal: undefined,
        bytesDone: bytes,
        bytesTotal: undefined,
        current: undefined,
      }),
  };
}

type Shown = Omit<ProgressLine, 'onVolumeProgress'>;

function chooseForm(options: ProgressOptions): Shown {
  if (options.form === 'none') return { onProgress: () => {}, [Symbol.dispose]() {} };
  if (options.form === 'json') return jsonProgress(options);
  return options.terminal.stderr.isTTY ? paintedProgress(options) : plainProgress(options);
}

const repaintMs = 100;
const plainEveryMs = 5000;
const jsonEveryMs = 1000;

function paintedProgress({ title, terminal, now = Date.now }: ProgressOptions): Shown {
  const describe = describer(title, now);
  let lastMs = 0;
  let painted = false;
  return {
    onProgress(progress) {
      if (now() - lastMs < repaintMs) return;
      lastMs = now();
      painted = true;
      const width = Math.max(20, terminal.stderr.columns || 80) - 1;
      terminal.stderr.write(`\r\u001b[K${describe(progress).slice(0, width)}`);
    },
    [Symbol.dispose]() {
      if (painted) terminal.stderr.write('\r\u001b[K');
      painted = false;
    },
  };
}

function plainProgress({ title, terminal, now = Date.now }: ProgressOptions): Shown {
  const describe = describer(title, now);
  let lastMs = now();
  return {
    onProgress(progress) {
      if (now() - lastMs < plainEveryMs) return;
      lastMs = now();
      terminal.stderr.write(`${describe(progress)}\n`);
    },
    [Symbol.dispose]() {},
  };
}

function jsonProgress({ title, terminal, now = Date.now }: ProgressOptions): Shown {
  let lastMs = 0;
  return {
    onProgress(progress) {
      if (now() - lastMs < jsonEveryMs) return;
      lastMs = now();
      terminal.stderr.write(`${printableJson(JSON.stringify({ type: 'progress', title, ...progress }))}\n`);
    },
    [Symbol.dispose]() {},
  };
}

/** Bytes, files, speed and time left, in words. */
function describer(title: string, now: () => number): (progress: Progress) => string {
  const startedMs = now();
  return (progress) => {
    const parts = [amount(progress.bytesDone, { total: progress.bytesTotal, form: formatSize })];
    const files = amount(progress.filesDone, {
      total: progress.filesTotal,
      form: grouped,
    });
    parts.push(`${files} ${(progress.filesTotal ?? progress.filesDone) === 1 ? 'file' : 'files'}`);
    const seconds = (now() - startedMs) / 1000;
    if (seconds >= 1 && progress.bytesDone > 0) parts.push(`${formatSize(progress.bytesDone / seconds)}/s`);
    const leftMs = timeLeftMs(progress, now() - startedMs);
    if (leftMs !== undefined) parts.push(`${formatDuration(leftMs)} left`);
    const current = progress.current === undefined ? '' : `  ${printableField(progress.current)}`;
    const phase = progress.phase === '' ? [] : [progress.phase];
    return `${title}: ${[...phase, ...parts].join(', ')}${current}`;
  };
}

interface AmountOptions {
  readonly total: number | undefined;
  readonly form: (value: number) => string;
}

function amount(done: number, { total, form }: AmountOptions): string {
  return total === undefined ? form(done) : `${form(done)} of ${form(total)}`;
}

/**
 * Undefined while it would be a guess: work starts slowly, with small files. Needs a twentieth done after
 * five seconds, or a hundredth after half a minute.
 */
function timeLeftMs(progress: Progress, elapsedMs: number): number | undefined {
  if (progress.bytesTotal === undefined || progress.bytesTotal === 0 || elapsedMs < 5000) return undefined;
  const share = progress.bytesDone / progress.bytesTotal;
  const leastShare = elapsedMs < 30_000 ? 0.05 : 0.01;
  return share < leastShare || share >= 1 ? undefined : Math.round(elapsedMs / share - elapsedMs);
}
