import type { HostVolumes } from '../volumes/index.ts';
import type { LogEvent, LogKind } from '../model/log-entry.ts';
import { quote } from '../model/quote.ts';
import { type AuditLog, logged } from '../activity/index.ts';
import type { Repository } from '../repository/index.ts';
import type { Repositories, Upkeep } from '../repositories/index.ts';
import type { Retention } from '../retention/index.ts';

/** Logs the engine's removals. */
export function loggedHostVolumes(engine: HostVolumes, log: AuditLog): HostVolumes {
  const record = async (kind: LogKind, { removed, failures }: Removal): Promise<void> => {
    await log.record([
      ...removed.map((volume): LogEvent => ({ kind, outcome: 'good', volume })),
      ...failures.map(({ name, error }): LogEvent => ({
        kind,
        outcome: 'failed',
        volume: name,
        message: error.message,
      })),
    ]);
  };
  return {
    ...engine,
    async remove(names, options) {
      const report = await engine.remove(names, options);
      await record('volume-remove', report);
      return report;
    },
    async applyPrune(plan, options) {
      const report = await engine.applyPrune(plan, options);
      await record('volume-prune', report);
      return report;
    },
  };
}

interface Removal {
  readonly removed: readonly string[];
  readonly failures: readonly { readonly name: string; readonly error: Error }[];
}

interface LoggedRepository {
  readonly log: AuditLog;
  readonly repository: () => Promise<Repository>;
}

/** Logs prunes and tags; forget itself logs what it removes. */
export function loggedRetention(retention: Retention, { log, repository }: LoggedRepository): Retention {
  return {
    ...retention,
    prune: (limits, options) =>
      logged(log, {
        event: { kind: 'prune' },
        work: () => retention.prune(limits, options),
        done: async ({ remove, repack, freedBytes }) => [
          {
            kind: 'prune',
            outcome: 'good',
            repository: (await repository()).id,
            message: `${remove.count} packs removed, ${repack.count} written anew, ${freedBytes} bytes freed`,
          },
        ],
      }),
    changeTags: (request, options) =>
      logged(log, {
        event: { kind: 'tag' },
        work: () => retention.changeTags(request, options),
        done: async (changed) => {
          const { id } = await repository();
          return changed
            .filter(({ before, after }) => before.id !== after.id)
            .map(({ before, after }): LogEvent => ({
              kind: 'tag',
              outcome: 'good',
              volume: before.name,
              snapshot: after.id,
              repository: id,
              message: `${before.id.slice(0, 8)} became ${after.id.slice(0, 8)} with the tags ${quote(after.tags.join(','))}`,
            }));
        },
      }),
  };
}

/** Logs keys, copies and repairs; what a dry run would do is no event. */
export function loggedUpkeep(upkeep: Upkeep, { log, repository }: LoggedRepository): Upkeep {
  const act =
    <A extends readonly unknown[], R>(kind: LogKind, work: (...asked: A) => Promise<R>, said: Said<A, R>) =>
    (...asked: A): Promise<R> =>
      logged(log, {
        event: { kind },
        work: () => work(...asked),
        done: async (result) => [
          { kind, outcome: 'good', repository: (await repository()).id, ...said(result, ...asked) },
        ],
      });
  const real =
    <A extends DryOr, R>(kind: LogKind, work: (...asked: A) => Promise<R>, said: Said<A, R>) =>
    (...asked: A): Promise<R> =>
      asked[0].dryRun ? work(...asked) : act(kind, work, said)(...asked);
  return {
    ...upkeep,
    addKey: act('key-add', upkeep.addKey, ({ key }) => ({ message: `Key ${short(key)} was added` })),
    changeKey: act('key-change', upkeep.changeKey, ({ key, removedId }) => ({
      message: `Key ${short(key)} took the place of ${removedId.slice(0, 8)}`,
    })),
    removeKey: act('key-remove', upkeep.removeKey, ({ key }) => ({
      message: `Key ${short(key)} was removed`,
    })),
    unlock: real('unlock', upkeep.unlock, ({ removed }) => ({ message: `${removed.length} locks removed` })),
    repairIndex: real('repair', upkeep.repairIndex, () => ({ message: 'The index was repaired' })),
    repairPacks: real('repair', upkeep.repairPacks, ({ packs, lostBlobs }) => ({
      message: `${packs.length} packs taken out, ${lostBlobs.length} blobs lost with them`,
    })),
    repairSnapshots: real('repair', upkeep.repairSnapshots, (_, { forget }) => ({
      message: `Snapshots were repaired${forget ? ', and the damaged ones forgotten' : ''}`,
    })),
    copy: real('copy', upkeep.copy, ({ copied, failed }, { to }) => ({
      message: `${copied.length} snapshots copied to ${quote(to.repository)}, ${failed.length} failed`,
      outcome: failed.length === 0 ? 'good' : copied.length === 0 ? 'failed' : 'partial',
    })),
  };
}

type DryOr = readonly [{ readonly dryRun: boolean }, ...unknown[]];

/** What to log of a work that succeeded. */
type Said<A extends readonly unknown[], R> = (
  result: R,
  ...asked: A
) => Pick<LogEvent, 'message'> & Partial<Pick<LogEvent, 'outcome'>>;

function short({ id }: { readonly id: string }): string {
  return id.slice(0, 8);
}

/** Logs a repository that is made or taken over, and every failure of it. */
export async function loggedInit<T extends Named>(log: AuditLog, work: () => Promise<T>): Promise<T> {
  const event = { kind: 'repository-add' } as const;
  return await logged(log, { event, work, done: (report) => repositoryEvents('repository-add', report) });
}

function repositoryEvents(kind: LogKind, { name, location, repositoryId }: Named): LogEvent[] {
  return [
    { kind, outcome: 'good', repository: repositoryId, message: `${quote(name)} at ${quote(location)}` },
  ];
}

/** Logs repositories that are added, forgotten and made the default. */
export function loggedRepositories(repositories: Repositories, log: AuditLog): Repositories {
  return {
    ...repositories,
    add: (request, options) => loggedInit(log, () => repositories.add(request, options)),
    remove: (name) =>
      logged(log, {
        event: { kind: 'repository-remove' },
        work: () => repositories.remove(name),
        done: (record) => repositoryEvents('repository-remove', record),
      }),
    setDefault: (name) =>
      logged(log, {
        event: { kind: 'repository-default' },
        work: () => repositories.setDefault(name),
        done: (record) => repositoryEvents('repository-default', record),
      }),
  };
}

interface Named {
  readonly name: string;
  readonly location: string;
  readonly repositoryId: string;
}
