import { AppError, errorMessage, isAppError } from '../../model/errors.ts';
import { statfs } from 'node:fs/promises';
import type { MigrationPlaces, MigrationSteps, SeedPlaces } from '../managed/managed-volumes.ts';
import { TreeMirror } from '../mirror/tree-mirror.ts';
import { fromText } from '../../model/byte-string.ts';
import { quote } from '../../model/quote.ts';
import { formatSize } from '../../model/size.ts';
import { takeLeases } from '../../leases/index.ts';
import { logged, type JobOptions } from '../../activity/index.ts';
import { makeStill, type StillContainers } from '../../quiesce/index.ts';
import { decideMigration, type MigrationPlan } from './migration-plan.ts';
import type { MigrationScope } from './plan-migration.ts';
import { seedUntilShort } from './seed.ts';
import { findKeptForUndo, findUsers } from './volume-users.ts';

export interface MigrationReport {
  readonly name: string;
  readonly way: MigrationPlan['way'];
  readonly kind: string;
  /** What was copied, in all passes. */
  readonly bytes: number;
  readonly files: number;
  /** The number of passes while it was in use. */
  readonly passes: number;
  /** Names of what was stopped and started again, and for how long. */
  readonly stopped: readonly string[];
  readonly stillMs: number;
  /** Names of those that were healthy before and are not now. */
  readonly unhealthy: readonly string[];
  /** Where the old storage is, and until when (RFC 3339). */
  readonly keptAs: string | undefined;
  readonly keptUntil: string | undefined;
}

const healthyWithinMs = 60_000;

/**
 * Carries a plan out. When it throws, the volume is as it was and what ran runs, or the error says what does
 * not.
 */
export async function applyMigration(
  scope: MigrationScope,
  plan: MigrationPlan,
  options: JobOptions,
): Promise<MigrationReport> {
  if (plan.refusal !== undefined) throw plan.refusal;
  const message = `from ${plan.from.kind} ${plan.way === 'back' ? 'back ' : ''}to ${plan.to.kind}`;
  const event = { kind: 'volume-migrate', volume: plan.name, message } as const;
  return await logged(scope.log, { event, work: () => migrate(scope, plan, options) });
}

async function migrate(
  scope: MigrationScope,
  plan: MigrationPlan,
  options: JobOptions,
): Promise<MigrationReport> {
  const { name } = plan;
  await using _leases = await leaseAll(scope, name, options);
  using work = new Work(scope, plan, options);
  const { managed } = scope;
  const { signal } = options;
  try {
    if (plan.way === 'back') await managed.migrateBack(name, { steps: work, signal });
    else await managed.migrate(name, plan.to, { steps: work, signal });
  } catch (error) {
    throw work.notReleased === undefined ? error : withRest(error, work.notReleased);
  }
  if (work.notReleased !== undefined) {
    throw new AppError(
      'failed',
      `The volume ${quote(name)} has moved, but not all that ran could be started`,
      {
        detail: work.notReleased.message,
        hint: '"holdfast recover" tries again. "holdfast volume migrate --undo" moves the volume back.',
      },
    );
  }
  const kept = await managed.findMigrated(name);
  return { ...work.report(), keptAs: kept?.id, keptUntil: kept?.expiresAt };
}

function withRest(error: unknown, rest: Error): unknown {
  const message = errorMessage(error);
  return new AppError(isAppError(error) ? error.code : 'failed', `${message}; the volume is as it was`, {
    detail: rest.message,
    hint: 'Not everything that ran could be started again: "holdfast recover" tries again.',
    cause: error,
  });
}

/** Holds off backups and restores of the volume, from any host that has it and any state folder. */
async function leaseAll(scope: MigrationScope, name: string, options: JobOptions): Promise<AsyncDisposable> {
  const { identity: engine } = await (await scope.host()).info({ signal: options.signal });
  const hosts = [...new Set([scope.catalog.stateId(), engine])];
  const places = hosts.map((hostIdentity) => ({ kind: 'volume', name, hostIdentity }) as const);
  await using leases = new AsyncDisposableStack();
  leases.use(await takeLeases(scope, { places, work: 'migrate' }, options));
  for (const hostIdentity of hosts) await scope.refuseHalfRestored(hostIdentity, name);
  return leases.move();
}

class Work implements MigrationSteps, Disposable {
  readonly #scope: MigrationScope;
  readonly #plan: MigrationPlan;
  readonly #options: JobOptions;
  #mirror: TreeMirror | undefined;
  #copied = { bytes: 0, files: 0 };
  #passes = 0;
  #stopped: readonly string[] = [];
  #unhealthy: readonly string[] = [];
  #stillMs = 0;
  /** Why what was stopped could not be brought back. */
  notReleased: Error | undefined;

  constructor(scope: MigrationScope, plan: MigrationPlan, options: JobOptions) {
    this.#scope = scope;
    this.#plan = plan;
    this.#options = options;
  }

  async seed({ from, to, writeDown }: SeedPlaces): Promise<void> {
    const { size, name } = this.#plan;
    await requireRoom(to, { name, bytes: size?.allocatedBytes ?? 0 });
    const { signal } = this.#options;
    const mirror = new TreeMirror(fromText(from), fromText(to), {
      signal,
      onProgress: (copied) => {
        this.#copied = copied;
        this.#tell('Copying', copied.files);
      },
      notesIn: this.#scope.stateDir,
    });
    this.#mirror = mirror;
    this.#passes = await seedUntilShort(mirror, {
      // Done before the containers stop, so that it adds nothing to their downtime.
      afterwards: async () => {
        await mirror.proveNames({ onProgress: (files) => this.#tell('Comparing', files) });
        await writeDown();
      },
    });
  }

  async makeStill(): Promise<AsyncDisposable> {
    const users = await this.#usersNow();
    const reason = `migrate ${quote(this.#plan.name)}`;
    const still = await makeStill(this.#scope, { containers: users.up, how: 'stop', reason }, this.#options);
    this.#stopped = still.names;
    return { [Symbol.asyncDispose]: () => this.#release(still) };
  }

  async finish({ from }: MigrationPlaces): Promise<void> {
    const { writers, up } = await this.#usersNow({ areStopped: true });
    const who = [...up.map(({ name }) => quote(name)), ...writers];
    if (who.length > 0)
      throw new AppError(
        'in-use',
        `Cannot migrate volume ${quote(this.#plan.name)}: ${who.join(', ')} uses it`,
        {
          detail: from,
          hint: 'Find out what starts it, and migrate again.',
        },
      );
    await this.#mirror?.pass({ isStill: true });
  }

  [Symbol.dispose](): void {
    this.#mirror?.[Symbol.dispose]();
  }

  report(): Omit<MigrationReport, 'keptAs' | 'keptUntil'> {
    const { name, way, to } = this.#plan;
    return {
      name,
      way,
      kind: to.kind,
      ...this.#copied,
      passes: this.#passes,
      stopped: this.#stopped,
      stillMs: this.#stillMs,
      unhealthy: this.#unhealthy,
    };
  }

  async #usersNow({ areStopped = false } = {}): ReturnType<typeof findUsers> {
    const { managed } = this.#scope;
    const volume = await managed.find(this.#plan.name);
    if (volume === undefined)
      throw new AppError('not-found', `There is no volume ${quote(this.#plan.name)} any more`);
    const users = await findUsers(this.#scope, volume, this.#options);
    if (areStopped) return users;
    // Our own hold does not count.
    const holds = volume.mountIds.filter((id) => !id.startsWith(`process:${process.pid}:`));
    const undoUntil = await findKeptForUndo(this.#scope.stateDir, volume);
    const facts = { ...this.#plan, ...users, holds, isProtected: volume.isProtected, undoUntil };
    const { refusal } = decideMigration({ ...facts, size: undefined });
    if (refusal !== undefined) throw refusal;
    return users;
  }

  async #release(still: StillContainers): Promise<void> {
    try {
      const { signal } = this.#options;
      const { unhealthy, stillMs } = await still.release({ healthyWithinMs, ...(signal && { signal }) });
      this.#unhealthy = unhealthy;
      this.#stillMs = stillMs;
    } catch (error) {
      this.notReleased = error instanceof Error ? error : new Error(String(error));
      // What ran is recorded for the next start.
      await Promise.resolve(still[Symbol.asyncDispose]()).catch(() => undefined);
    }
  }

  #tell(phase: string, files: number): void {
    this.#options.onProgress?.({
      phase,
      filesDone: files,
      filesTotal: this.#plan.size?.files,
      bytesDone: this.#copied.bytes,
      bytesTotal: this.#plan.size?.bytes,
      current: undefined,
    });
  }
}

/** The file system now exists, and reports its overhead. */
async function requireRoom(
  to: string,
  { name, bytes }: { readonly name: string; readonly bytes: number },
): Promise<void> {
  const { bavail, bsize } = await statfs(to);
  const free = bavail * bsize;
  if (free >= bytes) return;
  throw new AppError(
    'full',
    `Cannot migrate volume ${quote(name)}: it holds ${formatSize(bytes)}, and the new storage has room for ${formatSize(free)}`,
    { hint: 'Give it a larger size.' },
  );
}
