import path from 'node:path';
import type { Container, ContainerIdentity, Containers } from '../hosts/containers.ts';
import type { Host, HostScope } from '../hosts/host.ts';
import { AppError, errorMessage } from '../model/errors.ts';
import type { JobOptions } from '../activity/index.ts';
import { type Levels, openFreezing } from './freeze/freezing.ts';
import { type Guardian, startGuardian } from './guardian.ts';
import { holdAppJournal, writeAppJournal } from './app-journal.ts';
import { holdApps } from './hold-apps.ts';
import { ownContainer } from './own-container.ts';
import {
  type AppStep,
  describeUnstoppable,
  planContainers,
  type ContainersPlan,
  type Unstoppable,
} from './plan-containers.ts';
import { type StillContainers, type StillOptions, StillSession } from './still-session.ts';

export interface StillRequest extends StillOptions {
  readonly containers: readonly Container[];
  readonly how: 'pause' | 'stop';
  /** By container id: those that are stopped or paused differently from the rest. */
  readonly howOf?: ReadonlyMap<string, 'pause' | 'stop'> | undefined;
  /** For people, in the journal: `back up "pg"`. */
  readonly reason: string;
  /**
   * True where they may run again as soon as this process is killed, with their data as it is then: where the host can,
   * a guardian sees to that. Others wait for the recovery, which settles their data before.
   */
  readonly isPutBackAtOnce?: boolean | undefined;
  /** The restore that this is for: after a kill, its data is settled before the containers run again. */
  readonly restoreId?: string | undefined;
  /**
   * The longest time that they may be still, in milliseconds, where that is short: they are then frozen by
   * the kernel where possible, and run again after that time in any case.
   */
  readonly briefMs?: number | undefined;
  /** How long to wait for other processes that hold one of them. Default: as for any other job. */
  readonly patienceMs?: number | undefined;
}

/**
 * Pauses or stops what runs of the containers, dependants first, a Swarm service as a whole. Records durably
 * what was running before it touches the first, so that the next start brings it back after a kill. When it
 * throws, all is as it was before, or the error says what is not.
 */
export async function makeStill(
  means: HostScope,
  request: StillRequest,
  options: JobOptions,
): Promise<StillContainers> {
  await using opened = new AsyncDisposableStack();
  const { stateDir } = means;
  const host = await means.host();
  const { signal } = options;
  if (request.containers.length === 0) return nothingStill(Date.now(), []);
  if (host.containers === undefined)
    throw new AppError('unsupported', 'This host runs no containers that could be paused or stopped');
  const { identity: hostIdentity } = await host.info({ signal });
  const holdWork = { containers: host.containers, host, hostIdentity, stateDir, request };
  const { all, plan, held, look } = await holdAndPlan(holdWork, options);
  opened.use(held);
  const { unstoppable } = plan;
  for (const one of unstoppable) options.onNote?.(describeUnstoppable(one));
  if (plan.levels.length === 0) return nothingStill(Date.now(), unstoppable);
  // A stop takes long, and the paused ones wait for it.
  const { briefMs } = request;
  const isBrief = briefMs !== undefined && plan.levels.flat().every(({ how }) => how === 'pause');
  const mayFreeze = { all: isBrief ? all : [], containers: host.containers };
  const freezing = opened.use(
    await openFreezing(plan.levels, mayFreeze, { ...options, deadlineMs: briefMs }),
  );
  const heldJournal = await holdAppJournal(stateDir);
  // Until a container is touched, no command has to tell of this job later.
  await using untouched = new AsyncDisposableStack();
  // The user must see why it was given up.
  untouched.defer(() => heldJournal.remove().catch(() => undefined));
  const toGuard = { host, stateDir, request, levels: freezing.levels, journal: heldJournal.name };
  const guardian = await startAppGuardian(toGuard, options);
  if (guardian !== undefined) {
    opened.use(guardian);
    // Whatever is not back by then, this process has tried with patience.
    opened.defer(() => guardian.dismiss());
  }
  // A guardian takes seconds to start on a busy machine, and users go on stopping and pausing.
  const levels = stillPlanned(freezing.levels, (await look()).plan);
  if (levels.length === 0) return nothingStill(Date.now(), unstoppable);
  const { reason, restoreId, how } = request;
  const since = new Date().toISOString();
  const about = { hostIdentity, reason, restoreId, how, since, levels };
  const journal = await writeAppJournal(heldJournal, about);
  untouched.move();
  // Disposed in reverse order: the containers stay held until the guardian has ended.
  const holds = opened.move();
  const { onNote } = options;
  const still = new StillSession(host.containers, {
    ...{ journal, levels, freezing, holds, unstoppable, onNote, request },
  });
  await still.begin(signal);
  return still;
}

/**
 * What is still to be done of a plan, by a later one: each step as it is now. What is new in the later one is neither held
 * nor guarded.
 */
function stillPlanned(levels: Levels, later: ContainersPlan): Levels {
  const now = new Map(later.levels.flat().map((step) => [keyOf(step), step]));
  const left = levels.map((level) =>
    level.flatMap((step) => {
      const found = now.get(keyOf(step));
      if (found === undefined) return [];
      if (step.how === 'freeze') return [step];
      return [{ ...found, how: step.how === 'pause' ? 'pause' : found.how }];
    }),
  );
  return left.filter((level) => level.length > 0);
}

function keyOf({ how, identity: { id, name } }: AppStep): string {
  return how === 'scale' ? `service ${name}` : id;
}

interface ToGuard {
  readonly host: Pick<Host, 'putBackProgram'>;
  readonly stateDir: string;
  readonly request: Pick<StillRequest, 'isPutBackAtOnce'>;
  readonly levels: readonly (readonly AppStep[])[];
  readonly journal: string;
}

/** Frozen containers have a guardian of their own. Without one the others wait for the recovery after a kill. */
async function startAppGuardian(
  { host: { putBackProgram }, stateDir, request, levels, journal }: ToGuard,
  { signal, onNote }: JobOptions,
): Promise<Guardian | undefined> {
  if (putBackProgram === undefined || request.isPutBackAtOnce !== true) return undefined;
  if (levels.flat().every(({ how }) => how === 'freeze')) return undefined;
  const { module, args } = putBackProgram;
  try {
    return await startGuardian(module, [...args, path.resolve(stateDir), journal], { signal });
  } catch (error) {
    if (signal?.aborted === true) throw error;
    onNote?.(`${errorMessage(error)}: if this backup is killed, the next command brings them back.`);
    return undefined;
  }
}

interface HoldWork {
  readonly containers: Containers;
  readonly host: Pick<Host, 'claim'>;
  readonly hostIdentity: string;
  readonly stateDir: string;
  readonly request: StillRequest;
}

interface Seen {
  readonly all: readonly Container[];
  readonly plan: ContainersPlan;
}

interface Held extends Seen {
  readonly held: AsyncDisposable;
  /** Looks and plans again. */
  readonly look: () => Promise<Seen>;
}

/**
 * Plans once no other process pauses, stops or releases the containers. Others that have to be stopped with
 * them are held too; which ones may change until they are held.
 */
async function holdAndPlan(
  { containers, host, hostIdentity, stateDir, request }: HoldWork,
  options: JobOptions,
): Promise<Held> {
  const { patienceMs, reason } = request;
  const own = await ownContainer();
  const look = async (): Promise<Seen> => {
    const all = await containers.list({ signal: options.signal });
    return { all, plan: await planContainers(containers, { ...request, all, own }, options.signal) };
  };
  const toHold = new Map(request.containers.map((one) => [one.id, one as ContainerIdentity]));
  const areMore = request.how === 'stop' || [...(request.howOf?.values() ?? [])].includes('stop');
  const add = ({ plan: { levels } }: Seen): boolean => {
    const before = toHold.size;
    for (const { identity } of levels.flat()) toHold.set(identity.id, identity);
    return toHold.size > before;
  };
  if (areMore) add(await look());
  for (let attempt = 1; ; attempt++) {
    await using opened = new AsyncDisposableStack();
    const apps = { stateDir, hostIdentity, host, reason, containers: [...toHold.values()] };
    opened.use(await holdApps(apps, { ...options, patienceMs }));
    const seen = await look();
    if (!add(seen)) return { ...seen, held: opened.move(), look };
    if (attempt < plansAtMost) continue;
    throw new AppError('conflict', `Cannot ${reason}: other containers come to it all the time`, {
      hint: 'Try again when nothing is started on this machine.',
    });
  }
}

const plansAtMost = 5;

function nothingStill(sinceMs: number, unstoppable: readonly Unstoppable[]): StillContainers {
  return {
    sinceMs,
    names: [],
    unstoppable,
    killed: [],
    covers: () => false,
    isStopped: () => false,
    stillForMs: () => 0,
    release: async () => ({ stillMs: 0, unhealthy: [], apps: [], disturbed: [] }),
    async noteByHand() {},
    async leave() {},
    async [Symbol.asyncDispose]() {},
  };
}
