import { setTimeout as sleep } from 'node:timers/promises';
import type { Catalog, UsageMemory } from '../../catalog/catalog.ts';
import type { JobOptions } from '../../activity/index.ts';
import type { HostAccess } from '../../hosts/host.ts';
import { knownError } from '../../lib/known-error.ts';
import { AppError } from '../../model/errors.ts';
import type { Volume } from '../../model/volume.ts';
import type { OpenedApp, PolicyLook } from '../../policies/index.ts';
import { currentSizes, reportSizes, type SizesReport } from './df-report.ts';
import { lastSizes, type LastSizes } from './last-sizes.ts';
import { SizeWatch } from './look.ts';
import { type IoTotal, IoTotals } from './top/io-totals.ts';
import { planTop, type TopReport } from './top/plan-top.ts';
import { sampleHost } from './top/read-sample.ts';
import { refreshSizes, type RefreshFailure } from './refresh.ts';

export interface DfRequest {
  /** None means all. */
  readonly names: readonly string[];
  /** Measures before. Volumes on servers are measured only when they are named. */
  readonly refresh: boolean;
}

export interface DfReport extends SizesReport {
  readonly failures: readonly RefreshFailure[];
}

/** What takes how much room, and when there is none left. */
export interface Usage {
  /**
   * Sizes, growth and recovery of volumes. From the catalog alone while a daemon keeps it: otherwise the host
   * is asked which volumes there are. `not-found` for a name that no volume has.
   */
  df(request: DfRequest, options?: JobOptions): Promise<DfReport>;
  readonly asJson: { df(report: DfReport): object };
  /**
   * What volumes and containers read and write, once an interval until it is cancelled, or as often as
   * wanted. Begins with the first interval.
   */
  top(request: TopRequest): AsyncGenerator<TopReport, void, void>;
  /** Keeps the sizes in the catalog, for the daemon, until it is disposed. */
  openWatch(say: (message: string) => void, options?: WatchOptions): SizeKeeper;
}

export interface TopRequest {
  readonly intervalMs: number;
  readonly times: number;
  readonly signal: AbortSignal;
}

export interface WatchOptions {
  /** Counts what volumes read and write, too. */
  readonly countsIo?: boolean;
}

/** One keeper of sizes for a process. A look that fails is told once, and tried again at the next. */
export interface SizeKeeper extends AsyncDisposable {
  /** Gets what the daemon sees each minute, and looks at the sizes then. */
  readonly onLook: (look: Pick<PolicyLook, 'isHostSeen'>) => void;
  /** What volumes have read and written since the second look; none unless they are counted. */
  readonly io: () => readonly IoTotal[];
}

export interface UsageAccess extends HostAccess {
  readonly catalog: () => Promise<Catalog>;
  /** Where the host is looked for: addresses of engines, and '' for managed volumes. */
  readonly addresses: () => Promise<readonly string[]>;
  /** Opens a host anew, as the configuration is now. */
  readonly open: () => OpenedApp;
}

/** Opens nothing by itself: `df` asks the host only where the catalog does not say enough. */
export function openUsage({ catalog, host, addresses, open }: UsageAccess): Usage {
  return {
    async df(request, options = {}) {
      const { signal, onProgress, onNote } = options;
      const opened = await catalog();
      const { names, refresh } = request;
      const failures = refresh
        ? await refreshSizes({
            ...{ host: await host(), catalog: opened, names, signal },
            onProgress: ({ bytes, files }) =>
              onProgress?.({
                ...{ phase: '', current: undefined, bytesDone: bytes, filesDone: files },
                ...{ bytesTotal: undefined, filesTotal: undefined },
              }),
          })
        : [];
      const expected = lastSizes(opened.usage, { addresses: await addresses() }, Date.now());
      const report =
        currentSizes(expected, names) ??
        (await askHost({ usage: opened.usage, host, expected, names, signal, onNote }));
      return { ...report, failures };
    },
    asJson: { df: dfJson },
    top: (request) => topReports(host, request),
    openWatch: (say, { countsIo = false } = {}) => openWatch({ catalog, open, say, countsIo }),
  };
}

/** The document of `df`: errors as their code and message. Sizes in bytes, times in RFC 3339. */
export function dfJson({ failures, ...report }: DfReport): object {
  return {
    ...report,
    failures: failures.map(({ name, error: { code, message } }) => ({ name, code, message })),
  };
}

async function* topReports(
  openHost: HostAccess['host'],
  { intervalMs, times, signal }: TopRequest,
): AsyncGenerator<TopReport, void, void> {
  const host = await openHost();
  const { isRemote } = await host.info({ signal });
  if (isRemote === true)
    throw new AppError('unsupported', 'The engine is on another machine, which alone can tell its I/O', {
      hint: 'Run this command there.',
    });
  let before = await sampleHost(host, signal);
  for (let count = 0; count < times && !signal.aborted; count++) {
    // A cancel ends the wait, and the loop below.
    await sleep(intervalMs, undefined, { signal }).catch(() => undefined);
    if (signal.aborted) return;
    const after = await sampleHost(host, signal);
    yield planTop(before, after);
    before = after;
  }
}

/**
 * Joins what is known of this very host with the volumes that it has now. When it does not answer, and was
 * looked at where it is expected, the report is of what was known then.
 */
async function askHost({
  usage,
  host: openHost,
  expected,
  names,
  signal,
  onNote,
}: Pick<UsageAccess, 'host'> &
  Pick<JobOptions, 'signal' | 'onNote'> & {
    readonly usage: UsageMemory;
    readonly expected: LastSizes | undefined;
    readonly names: readonly string[];
  }): Promise<SizesReport> {
  let known = expected;
  let volumes: Volume[] | undefined;
  try {
    const host = await openHost();
    volumes = await host.listVolumes({ signal });
    known = await host.info({ signal }).then(
      ({ identity }) => lastSizes(usage, { identity }, Date.now()),
      (error: unknown) => {
        signal?.throwIfAborted();
        // As a proxy before the engine may have it.
        onNote?.(
          `The engine does not tell which one it is, so no sizes are known to be its: ${knownError(error).message}`,
        );
        return undefined;
      },
    );
  } catch (error) {
    if (expected === undefined || signal?.aborted === true) throw error;
    onNote?.(`${knownError(error).message}. What follows is what was known last.`);
  }
  return reportSizes(known, volumes, names);
}

function openWatch({
  catalog,
  open,
  say,
  countsIo,
}: Pick<UsageAccess, 'catalog' | 'open'> &
  Required<WatchOptions> & { readonly say: (message: string) => void }): SizeKeeper {
  const watch = new SizeWatch();
  const io = new IoTotals();
  const end = new AbortController();
  let running: Promise<void> | undefined;
  let said: string | undefined;
  const look = async (): Promise<void> => {
    try {
      await using opened = open();
      await opened.recoverAtStart();
      const host = await opened.host();
      await watch.look({ host, catalog: await catalog(), signal: end.signal });
      if (countsIo && (await host.info({ signal: end.signal })).isRemote !== true)
        io.look(await sampleHost(host, end.signal));
      said = undefined;
    } catch (error) {
      if (end.signal.aborted) return;
      const { message } = knownError(error, 'The sizes of volumes cannot be kept');
      // A disk that stays full is no news each minute.
      if (message !== said) say(`Warning: ${message}`);
      said = message;
    }
  };
  return {
    onLook({ isHostSeen }) {
      if (!isHostSeen || running !== undefined || end.signal.aborted) return;
      running = look().finally(() => (running = undefined));
    },
    io: () => io.list(),
    async [Symbol.asyncDispose]() {
      end.abort();
      await running;
      await watch[Symbol.asyncDispose]();
    },
  };
}
