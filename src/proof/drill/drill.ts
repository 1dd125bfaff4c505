import type { Catalog } from '../../catalog/catalog.ts';
import type { Containers } from '../../hosts/containers.ts';
import type { Host } from '../../hosts/host.ts';
import type { Repository } from '../../repository/index.ts';
import { knownError } from '../../lib/known-error.ts';
import { isAppError } from '../../model/errors.ts';
import { quote } from '../../model/quote.ts';
import type { Snapshot } from '../../model/snapshot.ts';
import { readDiskEvidence } from '../../quiesce/index.ts';
import type { JobOptions } from '../../activity/index.ts';
import { applyRestore, type ApplyScope, planRestore } from '../../restore/index.ts';
import { findContext } from '../../snapshots/index.ts';
import { chooseDrill, type DrillChoice } from './choose-drill.ts';
import type { DrilledServer, DrillReport, DrillRequest } from './drill-types.ts';
import { askServer, onlySeen, type ServerAnswer } from './ask-server.ts';
import {
  lackWords,
  planServers,
  type RestoredVolume,
  type ServerPlans,
  type TrialServer,
} from './plan-servers.ts';
import { startServer } from './start-server.ts';
import { trialFiles } from './trial-files.ts';
import { openTrial, type Trial } from './trial.ts';

/**
 * Proves that snapshots can be recovered from: restores them beside, starts the recorded image on that data
 * in isolation, asks it for its data, and measures the time. Removes everything at the end, also after a
 * failure; the next recovery removes what a killed drill leaves.
 * A snapshot that cannot be recovered from is a result in the report. An error that prevents the drill is
 * thrown.
 */
export async function drill(
  scope: ApplyScope,
  request: DrillRequest,
  options: JobOptions,
): Promise<DrillReport> {
  const { repository, catalog } = scope;
  const choice = chooseDrill(request, await findContext(scope, options));
  await using trial = await openTrial(scope, options);
  const host = await scope.host();
  const started = performance.now();
  const blank: Findings = {
    target: request.target,
    kind: choice.kind,
    volumes: [],
    servers: [],
    unasked: [],
  };
  const restored: RestoredVolume[] = [];
  let problem: string | undefined;
  try {
    for (const snapshot of choice.snapshots)
      restored.push(await restoreBeside(scope, { snapshot, trial }, options));
  } catch (error) {
    problem = snapshotProblem(error, options);
  }
  const restoreMs = performance.now() - started;
  const told = (drilled: DrillReport): DrillReport => {
    rememberDrill(catalog, { choice, drilled }, options);
    return drilled;
  };
  if (problem !== undefined) return told(report(blank, { restoreMs, started, problems: [problem] }));
  const plans = await planServers(host, { choice, restored, request }, options);
  const servers = await startAndAsk({ host, repository }, { plans, trial, request }, options);
  if (request.keep) trial.keep();
  const volumes = restored.map(({ drilled }) => drilled);
  const found: Findings = {
    ...blank,
    volumes,
    servers: servers.map(({ drilled }) => drilled),
    unasked: plans.unasked,
  };
  const readyAt = servers.map((server) => server.readyAt);
  return told(report(found, { restoreMs, started, readyAt, problems: [], keep: request.keep }));
}

interface Drilled {
  readonly choice: Pick<DrillChoice, 'snapshots'>;
  readonly drilled: Pick<DrillReport, 'outcome' | 'recoverMs' | 'volumes'> & {
    readonly servers: readonly Pick<DrilledServer, 'proof' | 'trialVolumes'>[];
  };
}

/**
 * For "df" and the like; the log has it as well. What one server of a stack answered proves nothing of the volumes that others
 * were started on.
 */
export function rememberDrill(
  { usage }: Pick<Catalog, 'usage'>,
  { choice: { snapshots }, drilled: { outcome, recoverMs, volumes, servers } }: Drilled,
  { onNote }: JobOptions,
): void {
  const drilledAt = new Date().toISOString();
  const serversOf = (snapshotId: string) => {
    const trialVolume = volumes.find((one) => one.snapshotId === snapshotId)?.trialVolume;
    return servers.filter(
      ({ trialVolumes }) => trialVolume !== undefined && trialVolumes.includes(trialVolume),
    );
  };
  try {
    for (const { id, time, volume } of snapshots)
      if (volume !== undefined)
        usage.noteDrill({
          volumeIdentity: volume.identity,
          outcome: isGood(outcome) ? goodOutcome(serversOf(id)) : outcome,
          snapshotId: id,
          snapshotTime: time,
          drilledAt,
          recoverMs,
        });
  } catch (error) {
    // The result matters more than recording it.
    if (!isAppError(error)) throw error;
    onNote?.(`The result of this drill is not remembered: ${error.message}.`);
  }
}

async function restoreBeside(
  scope: ApplyScope,
  { snapshot, trial }: { readonly snapshot: Snapshot; readonly trial: Trial },
  options: JobOptions,
): Promise<RestoredVolume> {
  const host = await scope.host();
  const { signal } = options;
  const name = trial.nameOf(snapshot.name);
  await host.createVolume({ name, driver: 'local', options: {}, labels: trial.labels }, { signal });
  const restoreRequest = {
    what: snapshot.id,
    to: name,
    path: undefined,
    safetySnapshot: false,
    keepForMs: 0,
  };
  const plan = await planRestore(scope, restoreRequest, options);
  const { files, bytes } = await applyRestore(scope, plan, options);
  await using data = await host.openData(name, { signal });
  const { id, time } = snapshot;
  return {
    snapshot,
    drilled: { name: snapshot.name, snapshotId: id, snapshotTime: time, files, bytes, trialVolume: name },
    disk: await readDiskEvidence(data, { signal }),
  };
}

/** Lost or inconsistent data is what a drill is there to find; any other error is not the snapshot's. */
function snapshotProblem(error: unknown, { signal }: JobOptions): string {
  const known = knownError(error);
  if (signal?.aborted === true || !isAppError(known, 'integrity')) throw error;
  return known.detail === undefined ? known.message : `${known.message}: ${known.detail}`;
}

interface AskWork {
  readonly plans: ServerPlans;
  readonly trial: Trial;
  readonly request: DrillRequest;
}

interface AskedServer {
  readonly drilled: DrilledServer;
  /** By the clock of `performance.now()`; undefined when it never answered. */
  readonly readyAt: number | undefined;
}

/**
 * Starts them in order, and asks all of them concurrently: counting takes long, and is not part of the
 * recovery.
 */
async function startAndAsk(
  { host: { containers }, repository }: { readonly host: Host; readonly repository: Repository },
  { plans, trial, request }: AskWork,
  options: JobOptions,
): Promise<AskedServer[]> {
  if (containers === undefined) return [];
  const asking: Promise<AskedServer>[] = [];
  const network = plans.servers.length > 1 ? trial.nameOf('net') : undefined;
  for (const server of plans.servers) {
    const files = await trialFiles(repository, server, options);
    const started = await startServer({ containers, server, trial, network, files }, options);
    asking.push(askOne(containers, { server, started, request }, options));
    // Handled here, as it may reject while the next server starts; it is awaited later.
    asking.at(-1)?.catch(() => undefined);
  }
  return await Promise.all(asking);
}

interface OneServer {
  readonly server: TrialServer;
  readonly started: Awaited<ReturnType<typeof startServer>>;
  readonly request: DrillRequest;
}

async function askOne(
  containers: Containers,
  { server, started, request }: OneServer,
  options: JobOptions,
): Promise<AskedServer> {
  const { plan } = server;
  const { name, imageName: image, lacks } = plan;
  const known = {
    ...{ name, image, lacks, trialContainer: started.name },
    trialVolumes: Object.values(server.volumes),
  };
  if (started.container === undefined) {
    const { problem, log } = started;
    const blank = {
      asked: [],
      isHealthy: false,
      proof: 'none' as const,
      readyAfterMs: undefined,
      facts: [],
      counts: {},
    };
    return { drilled: { ...known, ...blank, problems: [problem], log }, readyAt: undefined };
  }
  const { container, startedAt } = started;
  const { command, readyWithinMs } = request;
  const question = {
    containers,
    container,
    mountPath: plan.mountPath,
    found: plan.found,
    command,
    readyWithinMs,
  };
  const askedAt = performance.now();
  const answer = await askServer(question, options);
  const readyAt = answer.readyAfterMs === undefined ? undefined : askedAt + answer.readyAfterMs;
  const readyAfterMs = readyAt === undefined ? undefined : Math.round(readyAt - startedAt);
  // The answer is told without it.
  const log = answer.isHealthy
    ? undefined
    : await containers.logs(container.id, { lines: 20 }).catch(() => undefined);
  return { drilled: { ...known, ...answer, proof: proofOf(answer), readyAfterMs, log }, readyAt };
}

type Findings = Pick<DrillReport, 'target' | 'kind' | 'volumes' | 'servers' | 'unasked'>;

interface Measured {
  readonly started: number;
  readonly restoreMs: number;
  readonly readyAt?: readonly (number | undefined)[];
  readonly problems: readonly string[];
  readonly keep?: boolean;
}

function report(
  found: Findings,
  { started, restoreMs, readyAt = [], problems, keep }: Measured,
): DrillReport {
  const all = [
    ...problems,
    ...found.servers.flatMap((server) =>
      server.problems.map((problem) => `${quote(server.name)}: ${problem}`),
    ),
  ];
  const ailing = found.servers.filter(({ isHealthy }) => !isHealthy);
  const incomplete = ailing.filter((server) => whyUnproven(server, found.kind) !== undefined);
  const isFailed = problems.length > 0 || ailing.length > incomplete.length;
  const reached = readyAt.flatMap((at) => at ?? []);
  const isRecovered = problems.length === 0 && ailing.length === 0 && reached.length === readyAt.length;
  return {
    ...found,
    outcome: isFailed ? 'failed' : incomplete.length > 0 ? 'unproven' : goodOutcome(found.servers),
    unprovenBecause: incomplete.flatMap((server) => whyUnproven(server, found.kind) ?? []),
    restoreMs: Math.round(restoreMs),
    recoverMs: isRecovered ? Math.round(Math.max(started + restoreMs, ...reached) - started) : undefined,
    problems: all,
    kept:
      keep === true
        ? {
            volumes: found.volumes.map(({ trialVolume }) => trialVolume),
            containers: found.servers.map(({ trialContainer }) => trialContainer),
          }
        : undefined,
  };
}

/**
 * Why an unhealthy server is no evidence against the data; undefined when it is. One that came up and was
 * asked is evidence, whatever it lacks. Pure.
 */
export function whyUnproven(
  server: Pick<DrilledServer, 'name' | 'lacks' | 'asked' | 'readyAfterMs'>,
  kind: DrillReport['kind'],
): string | undefined {
  if (server.lacks.length > 0 && server.readyAfterMs === undefined) return lackWords(server);
  // A server that is no database may exit because it misses what is outside its stack.
  const isOnlySeen = server.asked.length > 0 && server.asked.every((one) => one === onlySeen);
  return kind === 'stack' && isOnlySeen
    ? `${quote(server.name)} did not keep running where it reaches nothing outside of its stack`
    : undefined;
}

function isGood(outcome: DrillReport['outcome']): boolean {
  return outcome !== 'failed' && outcome !== 'unproven';
}

function goodOutcome(servers: readonly Pick<DrilledServer, 'proof'>[]): DrillReport['outcome'] {
  if (servers.some(({ proof }) => proof === 'asked')) return 'proven';
  return servers.length > 0 ? 'started' : 'restored';
}

function proofOf({ asked, isHealthy }: ServerAnswer): DrilledServer['proof'] {
  if (!isHealthy) return 'none';
  return asked.every((one) => one === onlySeen) ? 'seen' : 'asked';
}
