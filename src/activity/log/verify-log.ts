import type { LogAnchor } from '../../catalog/catalog.ts';
import { AppError } from '../../model/errors.ts';
import type { LogEntry } from '../../model/log-entry.ts';
import type { LogProblem, LogVerification } from './audit-log.ts';
import { type ChainPlace, isGenuine, isSealed, readLine, startOfChain } from './chain.ts';
import { isHarmless } from './plan-append.ts';
import { readLines, type Segment } from './segments.ts';

export interface LogToVerify {
  readonly segments: readonly Segment[];
  readonly key: Uint8Array;
  readonly anchor: LogAnchor | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Proves every line of the log, and that it ends where the catalog says. */
export async function verifyLog({ segments, key, anchor, signal }: LogToVerify): Promise<LogVerification> {
  const walk = new ChainWalk(key, anchor);
  for (const segment of segments) {
    for await (const line of readLines(segment)) {
      if (signal?.aborted) throw new AppError('cancelled', 'Cancelled');
      walk.take(line.text, { segment: segment.name, line: line.number, isLast: !line.isWhole });
    }
  }
  return walk.finish(segments.at(-1)?.name ?? '');
}

interface Where {
  readonly segment: string;
  readonly line: number;
  /** It has no line end: another process may still be writing it. */
  readonly isLast: boolean;
}

class ChainWalk {
  readonly #key: Uint8Array;
  readonly #anchor: LogAnchor | undefined;
  readonly #problems: LogProblem[] = [];
  readonly #gaps: LogEntry[] = [];
  #before: ChainPlace = { sequence: 0, mac: startOfChain };
  #first: number | undefined;
  #entries = 0;
  #anchorSeen = false;

  constructor(key: Uint8Array, anchor: LogAnchor | undefined) {
    this.#key = key;
    this.#anchor = anchor;
  }

  take(line: string, where: Where): void {
    const entry = readLine(line);
    if (entry === undefined || !isGenuine(line, this.#key)) {
      const what = entry === undefined ? 'This is no entry' : `Entry ${entry.sequence} was changed or forged`;
      const torn = where.isLast && entry === undefined;
      this.#tell(where, torn ? 'The last entry is not whole: it may have been cut off' : what);
      return;
    }
    this.#follow(entry, where);
    this.#entries++;
    this.#first ??= entry.sequence;
    this.#before = entry;
    if (entry.sequence === this.#anchor?.sequence && entry.mac === this.#anchor.mac) this.#anchorSeen = true;
  }

  #follow(entry: LogEntry, where: Where): void {
    const { sequence, mac } = this.#before;
    const isGap = entry.kind === 'gap';
    if (isGap) {
      this.#gaps.push(entry);
      if (!isHarmless(entry.message)) this.#tell(where, `The log says itself: ${entry.message ?? ''}`);
    }
    if (entry.sequence === sequence + 1 && entry.previous === mac) return;
    if (isGap && entry.sequence > sequence) return;
    if (entry.sequence > sequence + 1)
      this.#tell(where, `Entries ${sequence + 1} to ${entry.sequence - 1} are missing`);
    else if (entry.sequence <= sequence)
      this.#tell(where, `Entry ${entry.sequence} stands in the wrong place`);
    else this.#tell(where, `Entry ${entry.sequence} does not follow the one before it`);
  }

  finish(segment: string): LogVerification {
    const end: Where = { segment, line: 0, isLast: true };
    this.#judgeEnd(end);
    return {
      entries: this.#entries,
      firstSequence: this.#first,
      lastSequence: this.#entries > 0 ? this.#before.sequence : undefined,
      head: this.#entries > 0 ? this.#before.mac : undefined,
      gaps: this.#gaps.filter(({ message }) => isHarmless(message)),
      problems: this.#problems,
    };
  }

  #judgeEnd(end: Where): void {
    const anchor = this.#anchor;
    if (anchor === undefined) {
      if (this.#entries > 0)
        this.#tell(
          end,
          'The catalog does not know where the log ends, so that nothing tells whether its end is there',
        );
    } else if (!isSealed(anchor, this.#key))
      this.#tell(end, 'The catalog names an end of the log that was not signed with its key');
    else if (anchor.sequence > this.#before.sequence)
      this.#tell(end, `Entries ${this.#before.sequence + 1} to ${anchor.sequence} were cut off`);
    else if (!this.#anchorSeen) this.#tell(end, `Entry ${anchor.sequence} is not the one that was written`);
  }

  #tell({ segment, line }: Where, message: string): void {
    this.#problems.push({ segment, line, message });
  }
}
