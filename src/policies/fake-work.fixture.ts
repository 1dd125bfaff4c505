import { AppError } from '../model/errors.ts';
import type { Snapshot } from '../model/snapshot.ts';
import { emptyConfiguration } from './configuration/configuration.ts';
import type { LoadedConfiguration } from './configuration/load-configuration.ts';
import { noSettings } from '../backup/settings/volume-settings.ts';
import { planForget } from '../retention/forget-plan.ts';
import type { JobOptions } from '../activity/protection.ts';
import type { Happening } from '../activity/notify/notifier.ts';
import { someSnapshot } from '../snapshots/some-snapshot.fixture.ts';
import type { FakeClock } from './fake-clock.fixture.ts';
import { policyTag } from '../model/policy.ts';
import type { Subject } from './subject.ts';
import type { PolicyJob, PolicyWork, SaveJob, SubjectOutcome, UpkeepOutcome } from './work.ts';

export function someSubject(name: string, more: Partial<Subject> = {}): Subject {
  return {
    kind: 'volume',
    name,
    identity: `id-${name}`,
    stack: undefined,
    containers: [],
    labels: {},
    settings: noSettings,
    policies: undefined,
    skipped: undefined,
    ...more,
  };
}

/** A backup that began, whatever became of it. */
export interface FakeSave {
  readonly policy: string;
  readonly repository: string;
  readonly name: string;
  readonly startMs: number;
  readonly startRealMs: number;
  endMs: number | undefined;
}

/** Work that takes time and saves nothing; snapshots are records, and are forgotten by the real rules. */
export class FakeWork implements PolicyWork {
  readonly clock: FakeClock;
  readonly saves: FakeSave[] = [];
  readonly told: Happening[] = [];
  readonly prunes: { readonly repository: string; readonly atMs: number }[] = [];
  snapshots: Snapshot[] = [];
  readonly everMade: Snapshot[] = [];
  configured: LoadedConfiguration = { ...emptyConfiguration, file: undefined, values: [] };
  present: readonly Subject[] = [];
  /** Thrown instead of what is asked for, until it is undefined again. */
  hostFault: AppError | undefined;
  /** Why the configuration as it is written now cannot be used. */
  configurationFault: AppError | undefined;
  repositoryFault: (repository: string) => AppError | undefined = () => undefined;
  forgetFault: AppError | undefined;
  saveMs = 5 * 60_000;
  /** How often something was forgotten. */
  forgotten = 0;
  #made = 0;
  #atWork = new Map<string, number>();

  constructor(clock: FakeClock) {
    this.clock = clock;
  }

  /** Whoever works now never comes to an end. */
  kill(): void {
    this.clock.forgetSleepers();
    this.#atWork = new Map();
  }

  configuration(): ReturnType<PolicyWork['configuration']> {
    return Promise.resolve({ configuration: this.configured, problem: this.configurationFault });
  }

  configurationProblem(): Promise<AppError | undefined> {
    return Promise.resolve(this.configurationFault);
  }

  subjects(): ReturnType<PolicyWork['subjects']> {
    const subjects = this.present.filter(
      ({ kind, containers }) => this.hostFault === undefined || (kind === 'path' && containers.length === 0),
    );
    return Promise.resolve({ subjects, hostFailure: this.hostFault });
  }

  defaultRepository(): Promise<string> {
    return Promise.resolve('main');
  }

  async backup(
    { policy, repository, subjects }: SaveJob,
    { signal }: JobOptions,
  ): Promise<readonly SubjectOutcome[]> {
    const fault = this.hostFault ?? this.repositoryFault(repository);
    if (fault !== undefined) throw fault;
    const saves = subjects.map(({ name }): FakeSave => ({
      policy: policy.name,
      repository,
      name,
      startMs: this.clock.now(),
      startRealMs: this.clock.realMs,
      endMs: undefined,
    }));
    for (const { identity } of subjects) this.#enter(identity);
    this.saves.push(...saves);
    try {
      await this.#time(this.saveMs, signal);
    } catch (error) {
      for (const { identity } of subjects) this.#leave(identity);
      throw error;
    }
    const saved = subjects.map((subject) => this.#newSnapshot(subject, { repository, policy: policy.name }));
    this.snapshots.push(...saved);
    this.everMade.push(...saved);
    for (const save of saves) save.endMs = this.clock.now();
    // A kill may come between the snapshot and the news of it.
    await this.#time(20_000);
    for (const { identity } of subjects) this.#leave(identity);
    return subjects.map((subject, index): SubjectOutcome => {
      return {
        identity: subject.identity,
        outcome: 'good',
        snapshotId: saved[index]?.id,
        repositoryId: repository,
        anomalies: [],
        error: undefined,
      };
    });
  }

  wasSaved({
    subject,
    repository,
    startedAt,
  }: {
    subject: string;
    repository: string;
    startedAt: string;
  }): Promise<boolean> {
    return Promise.resolve(
      this.snapshots.some(
        ({ volume, hostname, time }) =>
          volume?.identity === subject && hostname === repository && time >= startedAt,
      ),
    );
  }

  async forget(job: SaveJob, options: Parameters<PolicyWork['forget']>[1]): Promise<void> {
    await this.#time(10_000, options.signal);
    if (this.forgetFault !== undefined) throw this.forgetFault;
    const goes = this.previewForget(job);
    for (const { name, identity } of job.subjects)
      options.beforeRemoval({
        name,
        identity,
        repositoryId: job.repository,
        times: this.snapshots.filter(({ id }) => goes.includes(id)).map(({ time }) => time),
      });
    this.forgotten++;
    this.snapshots = this.snapshots.filter(({ id }) => !goes.includes(id));
  }

  /** Ids of what the rules would remove now. */
  previewForget({ policy, repository, subjects }: SaveJob): string[] {
    const keep = policy.keep;
    if (keep === undefined) return [];
    const tag = policyTag(policy.name);
    const chosen = this.snapshots.filter(
      ({ volume, hostname, tags }) =>
        hostname === repository &&
        tags.includes(tag) &&
        subjects.some(({ identity }) => identity === volume?.identity),
    );
    const plan = planForget(
      chosen,
      { kind: 'rules', rules: keep.rules, floor: keep.verified, verified: new Set() },
      { allowEmpty: false, nowMs: this.clock.now() },
    );
    return plan.groups.flatMap(({ decisions }) =>
      decisions.flatMap(({ snapshot, stays }) => (stays ? [] : [snapshot.id])),
    );
  }

  async prune({ repository }: PolicyJob, { signal }: JobOptions): Promise<UpkeepOutcome> {
    const fault = this.repositoryFault(repository);
    if (fault !== undefined) throw fault;
    this.prunes.push({ repository, atMs: this.clock.now() });
    await this.#time(60_000, signal);
    return { outcome: 'good', message: undefined };
  }

  check = (): Promise<UpkeepOutcome> => Promise.resolve({ outcome: 'good', message: undefined });
  verify = this.check;
  drill = this.check;

  tell(happenings: readonly Happening[]): Promise<void> {
    this.told.push(...happenings);
    return Promise.resolve();
  }

  #enter(identity: string): void {
    if (this.#atWork.has(identity)) throw new Error(`Two at once on ${identity}`);
    this.#atWork.set(identity, this.clock.now());
  }

  #leave(identity: string): void {
    this.#atWork.delete(identity);
  }

  async #time(ms: number, signal: AbortSignal = new AbortController().signal): Promise<void> {
    await this.clock.sleep(ms, signal);
    if (signal.aborted) throw new AppError('cancelled', 'Cancelled');
  }

  #newSnapshot(
    { name, identity }: Subject,
    { repository, policy }: { repository: string; policy: string },
  ): Snapshot {
    this.#made++;
    return someSnapshot({
      id: `${repository}-${name}-${this.#made}`,
      time: new Date(this.clock.now()).toISOString(),
      tags: [policyTag(policy)],
      hostname: repository,
      name,
      identity,
    });
  }
}
