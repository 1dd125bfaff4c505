import { mkdir } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Catalog, UnwrittenLog } from '../../catalog/catalog.ts';
import { tryLockDirectory } from '../../lib/directory-lock.ts';
import { knownError } from '../../lib/known-error.ts';
import { fromText } from '../../model/byte-string.ts';
import { AppError } from '../../model/errors.ts';
import type { LogEntry, LogEvent } from '../../model/log-entry.ts';
import { quote } from '../../model/quote.ts';
import type { AuditLog, LogFilter, LogVerification } from './audit-log.ts';
import { type ChainPlace, isSealed, lineOf, readLine, sealOf } from './chain.ts';
import { type LogKey, readLogKey, readOrMakeLogKey } from './log-key.ts';
import { type AppendFacts, gapMessage, planAppend } from './plan-append.ts';
import { readTail } from './read-tail.ts';
import { appendLines, listSegments, nextSegmentName, readLines } from './segments.ts';
import { verifyLog } from './verify-log.ts';
import { withoutSecrets } from './without-secrets.ts';

export interface AuditLogOptions {
  readonly stateDir: string;
  readonly now: () => number;
  readonly env: Readonly<Record<string, string | undefined>>;
  catalog(): Promise<Catalog>;
  readonly onWarning?: ((message: string) => void) | undefined;
  /** The size at which the next file is begun. Default: 4 MiB. */
  readonly segmentBytes?: number | undefined;
}

/** The log in the state folder's `log/`. No file is made before the first entry. */
export function openAuditLog(given: AuditLogOptions): AuditLog {
  const folder = path.join(given.stateDir, 'log');
  const writer = new LogWriter(given, folder);
  return {
    record: (events) => writer.record(events),
    list: (filter) => listEntries(folder, filter),
    verify: (options) => verify(given, folder, options?.signal),
  };
}

class LogWriter {
  readonly #options: AuditLogOptions;
  readonly #folder: string;
  /** What could not be recorded in the catalog either. */
  #unnoted: UnwrittenLog | undefined;

  constructor(given: AuditLogOptions, folder: string) {
    this.#options = given;
    this.#folder = folder;
  }

  async record(events: readonly LogEvent[]): Promise<boolean> {
    if (events.length === 0) return true;
    try {
      await this.#append(events);
      return true;
    } catch (error) {
      await this.#noteUnwritten(events.length);
      this.#warn(error, `Cannot write to the log in ${quote(this.#folder)}`);
      return false;
    }
  }

  #warn(error: unknown, action: string): void {
    const { message } = knownError(error, action);
    this.#options.onWarning?.(
      `${message}. What was done is not in it; everything else is as it was reported.`,
    );
  }

  async #noteUnwritten(count: number): Promise<void> {
    const unwritten = { count, since: new Date(this.#options.now()).toISOString() };
    try {
      (await this.#options.catalog()).noteUnwrittenLog(unwritten);
    } catch {
      // The same disk may be full: this process still remembers it, and warns.
      this.#unnoted = { ...unwritten, ...this.#unnoted, count: count + (this.#unnoted?.count ?? 0) };
    }
  }

  async #append(events: readonly LogEvent[]): Promise<void> {
    const { stateDir, segmentBytes = 4 * 1024 * 1024 } = this.#options;
    const folder = this.#folder;
    await mkdir(folder, { recursive: true, mode: 0o700 });
    using _lock = await lockLog(folder);
    const catalog = await this.#options.catalog();
    const key = await readOrMakeLogKey(stateDir);
    const tail = await readTail(await listSegments(folder), key.bytes);
    const plan = planAppend({ tail, ...this.#remembered(catalog, key) });
    const gaps = plan.gaps.map((gap): LogEvent => ({
      kind: 'gap',
      outcome: 'good',
      message: gapMessage(gap),
    }));
    const request = { after: plan.after, given: this.#options, key: key.bytes };
    const { text, end } = chainOf([...gaps, ...events], request);
    const isNext = tail.segment === undefined || tail.endBytes >= segmentBytes;
    await appendLines({
      folder,
      name: isNext ? nextSegmentName(tail.segment, plan.after.sequence) : (tail.segment?.name ?? ''),
      atBytes: isNext ? 0 : tail.endBytes,
      text: tail.lacksLineEnd && !isNext ? `\n${text}` : text,
    });
    this.#unnoted = undefined;
    try {
      catalog.setLogAnchor({ ...end, seal: sealOf(end, key.bytes) });
    } catch (error) {
      // Nothing is lost: the next entry follows the last one in the log.
      const { message } = knownError(error, 'Cannot remember where the log ends');
      this.#options.onWarning?.(`${message}.`);
    }
  }

  #remembered(catalog: Catalog, key: LogKey): Omit<AppendFacts, 'tail'> {
    const found = catalog.logAnchor();
    const anchor = found !== undefined && isSealed(found, key.bytes) ? found : undefined;
    const noted = catalog.unwrittenLog();
    const since = noted?.since ?? this.#unnoted?.since;
    const count = (noted?.count ?? 0) + (this.#unnoted?.count ?? 0);
    const unwritten = since === undefined ? undefined : { count, since };
    return { anchor, unwritten, isNewKey: key.isNew, isAnchorForged: found !== anchor };
  }
}

interface ChainRequest {
  readonly after: ChainPlace;
  readonly given: AuditLogOptions;
  readonly key: Uint8Array;
}

function chainOf(
  events: readonly LogEvent[],
  { after, given, key }: ChainRequest,
): { text: string; end: ChainPlace } {
  const time = new Date(given.now()).toISOString();
  const by = userName(given.env);
  let end = after;
  let text = '';
  for (const event of events) {
    const sequence = end.sequence + 1;
    const message = event.message === undefined ? undefined : withoutSecrets(event.message);
    const { line, mac } = lineOf({ ...event, message, sequence, time, by, previous: end.mac }, key);
    text += `${line}\n`;
    end = { sequence, mac };
  }
  return { text, end };
}

function userName(env: AuditLogOptions['env']): string {
  const own = ownName();
  const asked = env['SUDO_USER'];
  return asked === undefined || asked === '' || asked === own ? own : `${asked} as ${own}`;
}

function ownName(): string {
  try {
    return os.userInfo().username;
  } catch {
    // A user id that no account has, as in containers.
    return `uid ${process.getuid?.() ?? '?'}`;
  }
}

const lockWaitMs = 10_000;

/** Writing takes milliseconds, so waiting for other processes is cheap. */
async function lockLog(folder: string): Promise<Disposable> {
  const deadline = performance.now() + lockWaitMs;
  for (let pauseMs = 1; ; pauseMs = Math.min(pauseMs * 2, 50)) {
    const lock = tryLockDirectory(fromText(folder));
    if (lock !== undefined) return lock;
    if (performance.now() > deadline)
      throw new AppError('locked', `Another process has held the log ${quote(folder)} for ten seconds`);
    await sleep(pauseMs * (0.5 + Math.random()));
  }
}

async function listEntries(folder: string, filter: LogFilter): Promise<LogEntry[]> {
  const found: LogEntry[] = [];
  for (const segment of await listSegments(folder)) {
    for await (const { text } of readLines(segment)) {
      const entry = readLine(text);
      if (entry === undefined || !isWanted(entry, filter)) continue;
      found.push(entry);
      if (filter.limit !== undefined && found.length > filter.limit * 2)
        found.splice(0, found.length - filter.limit);
    }
  }
  return filter.limit === undefined ? found : found.slice(Math.max(0, found.length - filter.limit));
}

function isWanted(entry: LogEntry, { volume, kinds, sinceMs }: LogFilter): boolean {
  return (
    (volume === undefined || entry.volume === volume) &&
    (kinds === undefined || kinds.length === 0 || kinds.includes(entry.kind)) &&
    (sinceMs === undefined || Date.parse(entry.time) >= sinceMs)
  );
}

async function verify(
  given: AuditLogOptions,
  folder: string,
  signal: AbortSignal | undefined,
): Promise<LogVerification> {
  const key = await readLogKey(given.stateDir);
  const catalog = await given.catalog();
  const isThere = (await listSegments(folder)).length > 0;
  if (key === undefined && (isThere || catalog.logAnchor() !== undefined)) {
    throw new AppError('not-found', 'The log cannot be verified: its key is not there', {
      hint: `Bring ${quote(path.join(given.stateDir, 'keys', 'log.secret'))} back from where you keep its copy.`,
    });
  }
  if (!isThere || key === undefined)
    return await verifyLog({
      segments: [],
      key: key ?? new Uint8Array(),
      anchor: catalog.logAnchor(),
      signal,
    });
  const state = await readUnderLock(folder, catalog);
  return await verifyLog({ ...state, key, signal });
}

/** Sizes and end that belong together: entries that are written later are ignored. */
async function readUnderLock(folder: string, catalog: Catalog) {
  using _lock = await lockLog(folder);
  return { segments: await listSegments(folder), anchor: catalog.logAnchor() };
}
