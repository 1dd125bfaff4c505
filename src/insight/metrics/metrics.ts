import type { Catalog } from '../../catalog/catalog.ts';
import type { JobOptions } from '../../activity/index.ts';
import { longestGapMs } from '../../lib/schedule.ts';
import { findDaemon, type Policies, type PolicyLook } from '../../policies/index.ts';
import type { IoTotal } from '../usage/top/io-totals.ts';
import { planMetrics } from './plan-metrics.ts';
import { readFacts, type RememberedFacts } from './read-facts.ts';
import { formatMetrics, metricsContentType, type MetricFamily } from './text-format.ts';

/** Holdfast's state for Prometheus. Changes nothing. */
export interface Metrics {
  /** All metrics, after one look at the host. */
  read(options?: JobOptions): Promise<MetricsReport>;
  /** For a service that is asked often. `io` tells what was counted of reads and writes. */
  openExporter(io?: () => readonly IoTotal[]): MetricsExporter;
}

export interface MetricsReport {
  readonly families: readonly MetricFamily[];
  /** The same in the text format. */
  readonly text: string;
}

/** Tells what is known: it asks no host and no repository, and a catalog that cannot be read changes nothing. */
export interface MetricsExporter {
  readonly contentType: string;
  /** Gets what the daemon sees each minute. */
  readonly onLook: (look: PolicyLook) => void;
  /** All metrics in the text format. */
  text(): Promise<string>;
}

export interface MetricsAccess {
  readonly stateDir: string;
  readonly catalog: () => Promise<Catalog>;
}

/** Scrapes within this time share one reading of the catalog. */
const sharedMs = 2_000;
/** A catalog that cannot be read may make each reading wait. */
const afterFailureMs = 30_000;

/** Opens nothing by itself. `read` throws what the host and the catalog throw; an exporter throws nothing. */
export function openMetrics(access: MetricsAccess, policies: Pick<Policies, 'look'>): Metrics {
  return {
    async read(options = {}) {
      const look = await policies.look(options);
      const nowMs = Date.now();
      const facts = await readFacts(await access.catalog(), { stateDir: access.stateDir, nowMs });
      const isDaemonThere = (await findDaemon(access.stateDir)) !== undefined;
      const families = planMetrics({
        look,
        facts,
        io: [],
        isDaemonThere,
        intervalMs: intervals(nowMs),
        nowMs,
      });
      return { families, text: formatMetrics(families) };
    },
    openExporter: (io = () => []) => openExporter(access, io),
  };
}

function openExporter({ catalog, stateDir }: MetricsAccess, io: () => readonly IoTotal[]): MetricsExporter {
  let look: PolicyLook | undefined;
  let facts: RememberedFacts | undefined;
  let reading: Promise<void> | undefined;
  let readAgainAt = Number.NEGATIVE_INFINITY;
  const intervalMs = intervals(Date.now());
  const read = async (): Promise<void> => {
    let pauseMs = sharedMs;
    try {
      facts = await readFacts(await catalog(), { stateDir, nowMs: Date.now() });
    } catch {
      // The age of the last reading is a metric of its own.
      pauseMs = afterFailureMs;
    }
    readAgainAt = performance.now() + pauseMs;
  };
  return {
    contentType: metricsContentType,
    onLook(seen) {
      // Seen without its volumes, the host keeps the time of its last whole look.
      look = seen.isHostSeen || look === undefined ? seen : { ...look, tasks: seen.tasks };
    },
    async text() {
      if (performance.now() >= readAgainAt) {
        reading ??= read().finally(() => (reading = undefined));
        await reading;
      }
      const nowMs = Date.now();
      return formatMetrics(planMetrics({ look, facts, io: io(), isDaemonThere: true, intervalMs, nowMs }));
    },
  };
}

/** Computes the longest gap of each schedule once, however many volumes use it. */
function intervals(fromMs: number): (task: PolicyLook['tasks'][number]) => number {
  const known = new Map<string, number>();
  return ({ schedule, timetable }) => {
    const found = known.get(schedule) ?? longestGapMs(timetable, fromMs);
    known.set(schedule, found);
    return found;
  };
}
