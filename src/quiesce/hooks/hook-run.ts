import { AppError, errorMessage } from '../../model/errors.ts';
import type { Container, ContainerIdentity, Containers } from '../../hosts/containers.ts';
import type { Hook, HookMoment } from '../../model/hook.ts';
import { ownLabels, ownStack } from '../container-labels.ts';
import type { JobOptions, Notifier } from '../../activity/index.ts';
import type { PlannedHook } from './choose-hooks.ts';
import {
  areSomeOverdue,
  type HookTries,
  openHookJournal,
  type OpenHookJournal,
  takeDueHooks,
} from './hook-journal.ts';
import type { HostScope } from '../../hosts/host.ts';
import { noTarget, outOfReach, runHook } from './run-hook.ts';
import { tellOfHooks } from './tell-of-hooks.ts';

/** How a backup ended, as its hooks are told. */
export interface HookOutcome {
  readonly outcome: 'good' | 'partial' | 'failed' | 'cancelled';
  readonly message?: string | undefined;
  readonly snapshotId?: string | undefined;
}

/**
 * The hooks of one backup, in order. From before the first until `finish`, a journal says which are due
 * however this process ends.
 */
export interface HookRun {
  /** What ran, for the snapshot's record. */
  readonly ran: readonly string[];
  /** Throws for the first failing hook whose failure aborts. */
  begin(options: JobOptions): Promise<void>;
  during(options: JobOptions): Promise<void>;
  /**
   * Runs all of `after`, and of `on-error` when the backup failed, even when some fail. Returns the failures.
   */
  finish(outcome: HookOutcome, options: Pick<JobOptions, 'onNote'>): Promise<readonly AppError[]>;
}

export interface HooksToRun {
  readonly hooks: readonly PlannedHook[];
  readonly volumes: readonly string[];
}

/** What running hooks, keeping failed ones due, and reporting them needs. */
export interface HookMeans extends HostScope {
  readonly notifier: () => Promise<Notifier>;
}

export async function openHookRun(means: HookMeans, { hooks, volumes }: HooksToRun): Promise<HookRun> {
  const host = await means.host();
  const { containers } = host;
  if (hooks.length === 0 || containers === undefined) return noHooks;
  const hostIdentity = (await host.info()).identity;
  const environment = { HOLDFAST_VOLUME: volumes.join(',') };
  return new Run({ means, containers, hooks, hostIdentity, environment });
}

const noHooks: HookRun = {
  ran: [],
  async begin() {},
  async during() {},
  finish: async () => [],
};

interface RunWork {
  readonly means: HookMeans;
  readonly containers: Containers;
  readonly hooks: readonly PlannedHook[];
  readonly hostIdentity: string;
  readonly environment: Readonly<Record<string, string>>;
}

const staysDue =
  'Hooks that failed stay due: the next command tries them again, and so does "holdfast recover".';

class Run implements HookRun {
  readonly ran: string[] = [];
  readonly #work: RunWork;
  #journal: OpenHookJournal | undefined;

  constructor(work: RunWork) {
    this.#work = work;
  }

  async begin(options: JobOptions): Promise<void> {
    const { means, hooks, hostIdentity, environment } = this.#work;
    const due = hooks.filter(({ hook, isOutOfReach }) => isDueAtEnd(hook) && isOutOfReach !== true);
    if (due.length > 0)
      this.#journal = await openHookJournal(means.stateDir, { hostIdentity, environment, hooks: due });
    await this.#runAll('before', options);
  }

  async during(options: JobOptions): Promise<void> {
    await this.#runAll('during', options);
  }

  async finish(outcome: HookOutcome, { onNote }: Pick<JobOptions, 'onNote'>): Promise<readonly AppError[]> {
    const isBad = outcome.outcome === 'failed' || outcome.outcome === 'cancelled';
    const { means, hostIdentity, hooks, containers, environment } = this.#work;
    // Without a signal: they run after a cancel too, and each has its own time-out.
    const told = {
      ...environment,
      HOLDFAST_OUTCOME: outcome.outcome,
      HOLDFAST_MESSAGE: outcome.message ?? '',
      HOLDFAST_SNAPSHOT: outcome.snapshotId ?? '',
    };
    const due = hooks.filter(({ hook }) => hook.moment === 'after' || (isBad && hook.moment === 'on-error'));
    const failures = await runDueHooks(containers, { hooks: due, environment: told });
    // A hook that is not allowed to run is not due.
    const stay = failures.filter(({ planned }) => planned.isOutOfReach !== true);
    const bad = new Set(failures.map(({ planned }) => planned));
    // A hook stays due only in the journal of this backup; otherwise each backup would add one more for a
    // hook that fails.
    const kept = new Set(this.#journal === undefined ? [] : stay.map(({ planned }) => planned));
    const taken = due.filter((planned) => !bad.has(planned) || kept.has(planned));
    const about = { hooks: taken, hostIdentity };
    const earlier = await takeDueHooks(means.stateDir, about).catch(() => []);
    await this.#closeJournal({ failures: stay, environment: told, earlier }, onNote);
    const isOver = earlier.length > 0 && !(await areSomeOverdue(means.stateDir).catch(() => true));
    await tellOfHooks(means, { notes: [], isOver });
    for (const { hook, error } of failures) if (hook.onFailure === 'warn') onNote?.(`${error.message}.`);
    if (stay.length > 0) onNote?.(staysDue);
    return failures.filter(({ hook }) => hook.onFailure === 'abort').map(({ error }) => error);
  }

  /** A failed hook stays due: an application that was asked to prepare has to learn that it is over. */
  async #closeJournal(
    { failures, environment, earlier }: StillDue,
    onNote: JobOptions['onNote'],
  ): Promise<void> {
    const journal = this.#journal;
    this.#journal = undefined;
    if (journal === undefined) return;
    const { hostIdentity } = this.#work;
    if (failures.length === 0) {
      await journal.remove();
      return;
    }
    const now = new Date().toISOString();
    const tried = {
      times: 1 + Math.max(0, ...earlier.map(({ times }) => times)),
      first: [now, ...earlier.map(({ first }) => first)].toSorted()[0] ?? now,
      last: now,
      failures: failures.map(({ error }) => error.message),
    };
    const hooks = failures.map(({ planned }) => planned);
    try {
      await journal.keep({ hostIdentity, environment, hooks, tried });
    } catch (error) {
      // All are still in the journal, and run once more.
      const why = errorMessage(error);
      onNote?.(`It cannot be written down which hooks are still due: ${why}`);
    }
  }

  async #runAll(moment: HookMoment, options: JobOptions): Promise<void> {
    const { hooks, containers, environment } = this.#work;
    for (const planned of hooks.filter(({ hook }) => hook.moment === moment)) {
      const { hook } = planned;
      options.signal?.throwIfAborted();
      try {
        const container = await findNow(containers, planned);
        await runHook(
          containers,
          { hook, container, environment: { ...environment, HOLDFAST_MOMENT: moment } },
          options,
        );
        this.ran.push(`${hook.command[0] ?? ''} in "${container.name}"`);
      } catch (error) {
        if (!(error instanceof AppError) || error.code === 'cancelled' || hook.onFailure === 'abort')
          throw error;
        options.onNote?.(error.detail ? `${error.message}: ${error.detail}` : error.message);
      }
    }
  }
}

interface StillDue {
  readonly failures: readonly FailedHook[];
  readonly environment: Readonly<Record<string, string>>;
  /** From earlier backups that left the same hooks due. */
  readonly earlier: readonly HookTries[];
}

export interface DueHooks {
  readonly hooks: readonly PlannedHook[];
  readonly environment: Readonly<Record<string, string>>;
}

export interface FailedHook {
  readonly planned: PlannedHook;
  readonly hook: Hook;
  readonly error: AppError;
}

/** Runs all due hooks, even when some fail. Never throws. */
export async function runDueHooks(
  containers: Containers,
  { hooks, environment }: DueHooks,
): Promise<readonly FailedHook[]> {
  const failures: FailedHook[] = [];
  for (const planned of hooks) {
    const { hook } = planned;
    try {
      const container = await findNow(containers, planned);
      await runHook(
        containers,
        { hook, container, environment: { ...environment, HOLDFAST_MOMENT: hook.moment } },
        {},
      );
    } catch (error) {
      const known =
        error instanceof AppError
          ? error
          : new AppError('failed', `The hook "${hook.moment}" failed`, { cause: error });
      failures.push({ planned, hook, error: known });
    }
  }
  return failures;
}

function isDueAtEnd({ moment }: Hook): boolean {
  return moment === 'after' || moment === 'on-error';
}

/** The container as it is now: a service's may have been recreated. */
async function findNow(containers: Containers, planned: PlannedHook): Promise<Container> {
  const { hook, identity, isOutOfReach } = planned;
  if (isOutOfReach === true) throw outOfReach(hook, hook.target ?? '');
  const found = await findHookTarget(containers, planned);
  if (found?.state !== 'running') throw noTarget(hook, identity?.name ?? hook.target ?? '');
  return found;
}

/** The container, running or not; undefined where it is gone. */
export async function findHookTarget(
  containers: Containers,
  { identity }: PlannedHook,
): Promise<Container | undefined> {
  if (identity === undefined) return undefined;
  return (
    (await containers.find(identity.id)) ??
    (await containers.list()).find((container) => isSame(container, identity))
  );
}

/** Labels from an image alone do not make a container the recreated one. */
function isSame(
  container: Container,
  { swarmService, stack, service, number, name }: ContainerIdentity,
): boolean {
  if (swarmService !== undefined)
    return ownLabels(container)['com.docker.swarm.service.name'] === swarmService;
  if (service === undefined) return container.name === name;
  return ownStack(container) === stack && container.service === service && container.number === number;
}
