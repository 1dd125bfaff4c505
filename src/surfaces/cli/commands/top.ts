import type { TopReport } from '../../../app/app.ts';
import { parseDuration } from '../../../model/duration.ts';
import { AppError } from '../../../model/errors.ts';
import { printableField, printableJson, printableLines } from '../../../model/quote.ts';
import { describeTop } from '../describe-top.ts';
import type { Session } from '../session.ts';

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
  const { context, isJson, quiet } = session;
  const { stdout } = context.terminal;
  const isPainted = stdout.isTTY && flags.once !== true && !isJson && !quiet;
  const times = flags.once === true ? 1 : Number.POSITIVE_INFINITY;
  let last: TopReport | undefined;
  const paint = (): void => {
    // A terminal that has no size yet says 0.
    const screen = { rows: stdout.rows || 24, columns: stdout.columns || 80 };
    if (last !== undefined) stdout.write(`${repaint}${printableLines(describeTop(last, screen))}\n`);
  };
  // A reader that has ended, or a full disk: what cannot be shown is not looked at.
  const unread = new AbortController();
  const signal = AbortSignal.any([session.signal, unread.signal]);
  const endUnread = (): void => unread.abort();
  stdout.on('error', endUnread);
  if (isPainted) stdout.on('resize', paint);
  try {
    for await (const report of session.app.usage.top({ intervalMs, times, signal })) {
      last = report;
      if (isPainted) paint();
      else if (isJson) stdout.write(`${inJson(report)}\n`);
      else if (quiet) stdout.write(report.volumes.map(({ name }) => `${printableField(name)}\n`).join(''));
      else stdout.write(`${printableLines(describeTop(report))}\n`);
    }
  } catch (error) {
    // The end of the command tells what it could not write.
    if (!unread.signal.aborted) throw error;
  } finally {
    stdout.off('error', endUnread);
    stdout.off('resize', paint);
  }
}

function inJson(report: TopReport): string {
  return printableJson(JSON.stringify({ time: new Date().toISOString(), ...report }, withNull));
}

function withNull(_key: string, value: unknown): unknown {
  return value === undefined ? null : value;
}
