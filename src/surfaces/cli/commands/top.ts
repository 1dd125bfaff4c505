import type { Rates, TopContainer, TopReport, TopVolume } from '../../../app/app.ts';
import { formatLatency } from '../../../model/benchmark.ts';
import { fromText, toPrintable } from '../../../model/byte-string.ts';
import { parseDuration } from '../../../model/duration.ts';
import { AppError } from '../../../model/errors.ts';
import { printableJson, printableLines } from '../../../model/quote.ts';
import { formatSize } from '../../../model/size.ts';
import type { Session } from '../session.ts';
import { formatTable } from '../table.ts';

export interface TopFlags {
  readonly once?: boolean;
  readonly interval?: string;
}

const leastMs = 100;
const mostMs = 3_600_000;
/** Moves to the top left corner, and clears what is below. */
const repaint = '\u001b[H\u001b[J';

export async function runTop(session: Session, flags: TopFlags): Promise<void> {
  const intervalMs = parseDuration(flags.interval ?? '2s');
  if (intervalMs < leastMs || intervalMs > mostMs)
    throw new AppError('usage', 'An interval is between 100ms and 1h');
  const { signal, context, isJson } = session;
  const { stdout } = context.terminal;
  const isPainted = stdout.isTTY && flags.once !== true && !isJson;
  const times = flags.once === true ? 1 : Number.POSITIVE_INFINITY;
  for await (const report of session.app.usage.top({ intervalMs, times, signal })) {
    const text = isJson
      ? printableJson(JSON.stringify({ time: new Date().toISOString(), ...report }, withNull))
      : printableLines(describe(report));
    // On a terminal, more lines than it has would scroll, and the next painting would begin elsewhere.
    const shown = isPainted
      ? text
          .split('\n')
          .slice(0, Math.max(5, stdout.rows - 1))
          .join('\n')
      : text;
    stdout.write(`${isPainted ? repaint : ''}${shown}\n`);
  }
}

function withNull(_key: string, value: unknown): unknown {
  return value === undefined ? null : value;
}

function describe({ volumes, containers, pressure, notes, seconds }: TopReport): string {
  const parts = [
    `In ${seconds.toFixed(1)} s${pressure === undefined ? '' : `, waiting for I/O: ${percent(pressure)}`}`,
    ...notes,
    '',
    formatTable(volumes, [
      { title: 'VOLUME', value: nameOf },
      ...rateColumns<TopVolume>(({ how }) => (how === 'shared' ? '~' : '')),
      {
        title: 'LATENCY',
        value: ({ latencyMs }) => (latencyMs === undefined ? '' : formatLatency(latencyMs)),
        align: 'right',
      },
      { title: 'BUSY', value: ({ busy }) => percent(busy), align: 'right' },
      { title: 'WAITING', value: ({ pressure: waiting }) => percent(waiting), align: 'right' },
      { title: 'NOTE', value: ({ note, how }) => toPrintable(fromText(note ?? exactly(how))) },
    ]),
  ];
  if (containers.length > 0)
    parts.push(
      '',
      formatTable(containers, [
        { title: 'CONTAINER', value: ({ name }) => toPrintable(fromText(name)) },
        ...rateColumns<TopContainer>(() => ''),
        { title: 'WAITING', value: ({ pressure: waiting }) => percent(waiting), align: 'right' },
        { title: 'NOTE', value: ({ note }) => toPrintable(fromText(note ?? '')) },
      ]),
    );
  if (volumes.some(({ how }) => how === 'shared'))
    parts.push('', '~ What its containers do on the disk, in equal parts among their volumes there.');
  return parts.join('\n');
}

function rateColumns<Row extends { readonly rates: Rates | undefined }>(mark: (row: Row) => string) {
  const column = (title: string, value: (rates: Rates) => string | undefined) => ({
    title,
    value: (row: Row): string => {
      const shown = row.rates === undefined ? undefined : value(row.rates);
      return shown === undefined ? '' : `${mark(row)}${shown}`;
    },
    align: 'right' as const,
  });
  return [
    column('READ/s', ({ readBytes }) => formatSize(readBytes)),
    column('WRITE/s', ({ writtenBytes }) => formatSize(writtenBytes)),
    column('READS', ({ reads }) => reads?.toFixed(0)),
    column('WRITES', ({ writes }) => writes?.toFixed(0)),
  ];
}

function nameOf({ name, anonymous }: TopVolume): string {
  return toPrintable(fromText(anonymous ? `${name.slice(0, 12)} (anonymous)` : name));
}

function exactly(how: TopVolume['how']): string {
  return how === 'device' ? 'its own device' : how === 'network' ? 'its own mount' : '';
}

function percent(part: number | undefined): string {
  return part === undefined ? '' : `${(part * 100).toFixed(0)}%`;
}
