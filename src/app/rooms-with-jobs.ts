import type { HostVolumes } from '../volumes/index.ts';
import type { App } from './app.ts';
import type { JobOutcome, JobRegistry, WorkOptions } from './jobs.ts';

type Rooms = Omit<
  App,
  | 'jobs'
  | 'config'
  | 'recoverAtStart'
  | 'engineLinks'
  | 'activity'
  | 'audit'
  | 'doctor'
  | 'metrics'
  | 'compose'
  | 'usage'
  | typeof Symbol.asyncDispose
>;

type Work = (request: unknown, options?: WorkOptions) => Promise<unknown>;

interface LongWork<R, T> {
  readonly kind: string;
  readonly subjects?: ((request: R) => readonly (string | undefined)[]) | undefined;
  readonly outcome?: ((result: T) => JobOutcome) | undefined;
}

type LongWorks<Room> = {
  readonly [Name in keyof Room]?: Room[Name] extends (request: infer R, options?: infer _) => Promise<infer T>
    ? LongWork<R, T>
    : never;
};

/**
 * Registers the rooms' long works as jobs. A new long work has its line here; a call that answers at once has
 * none.
 */
export function withJobs(rooms: Rooms, jobs: JobRegistry): Rooms {
  const room = <Room extends object>(of: Room, works: LongWorks<Room>): Room => {
    const watched = { ...of } as Record<string, Work>;
    for (const [name, { kind, subjects, outcome }] of Object.entries(
      works as Record<string, LongWork<unknown, unknown>>,
    )) {
      const work = (of as Record<string, Work>)[name]!;
      watched[name] = async (request, given) => {
        const names = (subjects?.(request) ?? []).filter((subject) => subject !== undefined);
        return await jobs.run({ kind, subjects: names, outcome }, given, (options) => work(request, options));
      };
    }
    return watched as Room;
  };
  const engineWithJobs = (engine: HostVolumes): HostVolumes =>
    room(engine, {
      remove: { kind: 'volume-remove', subjects: (names) => names, outcome: ofFailures('removed') },
      applyPrune: { kind: 'volume-prune', outcome: ofFailures('removed') },
      clone: { kind: 'volume-clone', subjects: ({ from, to }) => [from, to], outcome: ofProblems },
      copyIn: { kind: 'volume-copy', subjects: ({ to }) => [to.volume], outcome: ofProblems },
      copyOut: { kind: 'volume-copy', subjects: ({ from }) => [from.volume], outcome: ofProblems },
      export: { kind: 'volume-export', subjects: ({ volume }) => [volume], outcome: ofProblems },
      import: { kind: 'volume-import', subjects: ({ volume }) => [volume], outcome: ofProblems },
    });
  return {
    volumes: {
      ...room(rooms.volumes, {
        run: { kind: 'volume-run', subjects: ({ command }) => command.slice(0, 1) },
        restoreTrash: { kind: 'trash-restore', subjects: (which) => [which] },
        applyMigration: {
          kind: 'volume-migrate',
          subjects: ({ name }) => [name],
          outcome: ({ unhealthy }) => (unhealthy.length === 0 ? 'good' : 'partial'),
        },
      }),
      onHost: async () => engineWithJobs(await rooms.volumes.onHost()),
    },
    backup: room(rooms.backup, {
      run: {
        kind: 'backup',
        subjects: ({ targets, stacks, containers = [] }) => [...targets, ...stacks, ...containers],
        outcome: ({ outcomes }) => together(outcomes.map(({ outcome }) => outcome)),
      },
      importArchives: {
        kind: 'import-archives',
        subjects: ({ paths }) => paths,
        outcome: ({ outcomes }) =>
          together(outcomes.map(({ outcome }) => (outcome === 'refused' ? 'failed' : outcome))),
      },
    }),
    restore: room(rooms.restore, {
      plan: { kind: 'restore-plan', subjects: ({ what }) => [what] },
      planStack: { kind: 'restore-plan', subjects: ({ what }) => [what] },
      apply: { kind: 'restore', subjects: ({ destination }) => [destination.name], outcome: ofProblems },
      applyStack: {
        kind: 'restore',
        subjects: ({ point }) => [point.stack],
        outcome: ({ volumes: restored, files }) => together([...restored, ...files].map(ofProblems)),
      },
      applyDump: { kind: 'restore-dump', subjects: ({ volume }) => [volume] },
      applyUndo: { kind: 'undo', subjects: ({ places }) => places.map(({ record }) => record.name) },
      dropUndo: { kind: 'undo-drop', subjects: ({ what }) => [what] },
    }),
    snapshots: room(rooms.snapshots, {
      diff: { kind: 'diff' },
      stats: { kind: 'stats', subjects: ({ name }) => [name] },
    }),
    retention: room(rooms.retention, {
      applyForget: { kind: 'forget' },
      planPrune: { kind: 'prune-plan' },
      prune: { kind: 'prune' },
      changeTags: { kind: 'tag' },
    }),
    proof: room(rooms.proof, {
      check: { kind: 'check', outcome: ({ errors }) => ofErrors(errors) },
      verify: {
        kind: 'verify',
        subjects: ({ targets }) => targets,
        outcome: ({ volumes: verified, unreadable }) =>
          ofErrors([...unreadable, ...verified.flatMap(({ errors }) => errors)]),
      },
      drill: {
        kind: 'drill',
        subjects: ({ target }) => [target],
        outcome: ({ outcome }) =>
          outcome === 'failed' ? 'failed' : outcome === 'unproven' ? 'partial' : 'good',
      },
    }),
    policies: room(rooms.policies, {
      run: {
        kind: 'policy',
        subjects: ({ name }) => [name],
        outcome: ({ backups }) => together(backups.map(({ outcome }) => outcome ?? 'good')),
      },
    }),
    repositories: room(rooms.repositories, {
      copy: {
        kind: 'copy',
        subjects: ({ references }) => references,
        outcome: ({ copied, failed }) =>
          failed.length === 0 ? 'good' : copied.length === 0 ? 'failed' : 'partial',
      },
      repairIndex: { kind: 'repair' },
      repairPacks: { kind: 'repair' },
      repairSnapshots: { kind: 'repair' },
    }),
    benchmarks: room(rooms.benchmarks, {
      run: { kind: 'volume-bench', subjects: ({ volumes }) => volumes },
    }),
    recover: (given) =>
      jobs.run({ kind: 'recover', subjects: [] }, given, (options) => rooms.recover(options)),
  };
}

function ofProblems({ problems }: { readonly problems: readonly unknown[] }): JobOutcome {
  return problems.length === 0 ? 'good' : 'partial';
}

function ofErrors(errors: readonly unknown[]): JobOutcome {
  return errors.length === 0 ? 'good' : 'failed';
}

function ofFailures<K extends string>(
  done: K,
): (report: Readonly<Record<K | 'failures', readonly unknown[]>>) => JobOutcome {
  return (report) =>
    report.failures.length === 0 ? 'good' : report[done].length === 0 ? 'failed' : 'partial';
}

/** Of several: failed when none succeeded, partial when one did not. */
function together(outcomes: readonly string[]): JobOutcome {
  if (outcomes.includes('cancelled')) return 'cancelled';
  const bad = outcomes.filter((outcome) => !['good', 'imported', 'present'].includes(outcome));
  if (bad.length === 0) return 'good';
  return bad.length === outcomes.length && !bad.includes('partial') ? 'failed' : 'partial';
}
