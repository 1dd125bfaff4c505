import type { PolicyMemory } from '../catalog/catalog.ts';
import { errorInWords, knownError } from '../lib/known-error.ts';
import type { AppError } from '../model/errors.ts';
import { quote } from '../model/quote.ts';
import type { LoadedConfiguration } from './configuration/load-configuration.ts';
import type { Happening } from '../activity/index.ts';
import { assignPolicies } from './assign-policies.ts';
import { type DueTask, planDue } from './plan-due.ts';
import {
  chooseJobs,
  groupJobs,
  inTurn,
  type Job,
  type RunningJob,
  type Turn,
  withRestOfStacks,
} from './plan-jobs.ts';
import type { Policy } from '../model/policy.ts';
import { isKiller, PolicyProgress } from './progress.ts';
import { runForget } from './run-forget.ts';
import { type ForgetJob, type JobScope, runJob, tell, tellMissed } from './run-job.ts';
import { settleInterrupted } from './settle-interrupted.ts';
import { timetables } from '../lib/schedule.ts';
import type { Subject } from './subject.ts';
import { type Task, tasksOf } from './task.ts';
import { happeningOfConfiguration, happeningOfHost } from './tell-of-look.ts';
import type { Clock, FoundSubjects, PolicyWork } from './work.ts';

export interface DaemonScope {
  readonly clock: Clock;
  readonly memory: PolicyMemory;
  readonly work: PolicyWork;
  /** Messages for people. */
  readonly say: (message: string) => void;
}

export interface DaemonOptions {
  /** When aborted, no new job begins; running ones have `graceMs` to end and are then cancelled. */
  readonly signal: AbortSignal;
  readonly graceMs: number;
  /** How often it checks for new volumes and the clock. */
  readonly lookEveryMs: number;
  /** Gets a function that reloads the configuration. */
  readonly onReloader?: ((reload: () => void) => void) | undefined;
  readonly onReady?: (() => void) | undefined;
  /** Gets what each look has seen. */
  readonly onLook?: ((look: PolicyLook) => void) | undefined;
  readonly onStopping?: (() => void) | undefined;
}

/** What there is and what policies will do with it, as seen at one time. */
export interface PolicyLook {
  readonly atMs: number;
  /** False when the host did not show its volumes: those of the look before stand in. */
  readonly isHostSeen: boolean;
  readonly subjects: readonly Subject[];
  readonly tasks: readonly Task[];
}

/**
 * Runs policies until the signal is aborted. An error in one run ends no other; a host or a repository that
 * is away is retried. Throws only for a configuration that is unusable at the start.
 */
export async function runDaemon(scope: DaemonScope, options: DaemonOptions): Promise<void> {
  const daemon = new PolicyDaemon(scope, options);
  await daemon.prepare();
  options.onReloader?.(() => daemon.reload());
  options.onReady?.();
  await daemon.run();
}

class PolicyDaemon {
  readonly #scope: DaemonScope;
  readonly #options: DaemonOptions;
  readonly #progress: PolicyProgress;
  /** Cancels running jobs, after the grace. */
  readonly #cancel = new AbortController();
  readonly #running = new Map<RunningJob, Promise<void>>();
  readonly #turns = new Map<string, Turn>();
  #turnCount = 0;
  readonly #telling = new Set<Promise<void>>();
  #configuration: LoadedConfiguration | undefined;
  #open = timetables();
  #isStale = true;
  #lookedMs = Number.NEGATIVE_INFINITY;
  #tasks: readonly Task[] = [];
  /** The subjects of the last complete look. */
  #seen: readonly Subject[] = [];
  /** Undefined before the first look. */
  #isHostAway: boolean | undefined;
  #problem: AppError | undefined;
  #said: ReadonlySet<string> = new Set();
  #forgets: (ForgetJob & { readonly sinceMs: number })[] = [];
  #wake = new AbortController();

  constructor(scope: DaemonScope, options: DaemonOptions) {
    this.#scope = scope;
    this.#options = options;
    this.#progress = new PolicyProgress(
      scope.memory,
      () => scope.clock.now(),
      (error) => scope.say(`Warning: what was run is not remembered: ${knownError(error).message}`),
    );
  }

  async prepare(): Promise<void> {
    await this.#readConfiguration();
    await settleInterrupted(this.#scope, this.#progress);
  }

  reload(): void {
    this.#isStale = true;
    this.#lookedMs = Number.NEGATIVE_INFINITY;
    this.#wake.abort();
  }

  async run(): Promise<void> {
    const { signal, onStopping } = this.#options;
    const onStop = (): void => this.#wake.abort();
    signal.addEventListener('abort', onStop);
    try {
      while (!signal.aborted) await this.#turn();
    } finally {
      signal.removeEventListener('abort', onStop);
      onStopping?.();
      await this.#finish();
    }
  }

  /** Looks, begins due jobs, and waits until there may be more to do. */
  async #turn(): Promise<void> {
    this.#wake = new AbortController();
    const { clock, say } = this.#scope;
    const { signal, lookEveryMs } = this.#options;
    let waitMs = lookEveryMs;
    try {
      await this.#look();
      const wakeMs = this.#begin();
      waitMs = Math.min(lookEveryMs, Math.max(0, (wakeMs ?? Number.POSITIVE_INFINITY) - clock.now()));
    } catch (error) {
      say(`Warning: ${knownError(error, 'The policies cannot be looked at').message}`);
    }
    if (!signal.aborted) await clock.sleep(waitMs, this.#wake.signal);
  }

  /** Lists the current subjects. When the host cannot be seen, its last known ones are kept. */
  async #look(): Promise<void> {
    const { clock, work, say } = this.#scope;
    const nowMs = clock.now();
    const sinceMs = nowMs - this.#lookedMs;
    // A clock that was set back counts as time that has passed.
    if (sinceMs >= 0 && sinceMs < this.#options.lookEveryMs) return;
    this.#lookedMs = nowMs;
    if (this.#isStale) await this.#readConfiguration();
    else this.#noteProblem(await work.configurationProblem());
    const configuration = this.#configuration;
    if (configuration === undefined) return;
    try {
      const found = await work.subjects(configuration, { signal: this.#options.signal, onNote: say });
      const subjects = this.#withVolumes(found);
      const defaultRepository = await work.defaultRepository(configuration);
      this.#tasks = planTasks(configuration, subjects, { defaultRepository, open: this.#open });
      this.#sayOf(found.hostFailure, configuration);
      const isHostSeen = found.hostFailure === undefined;
      this.#options.onLook?.({ atMs: nowMs, isHostSeen, subjects, tasks: this.#tasks });
    } catch (error) {
      if (!this.#options.signal.aborted)
        say(`Warning: ${knownError(error, 'The volumes cannot be listed').message}`);
    }
  }

  /** Volumes and bind mounts that cannot be seen still have backups due: these report the failure. */
  #withVolumes({ subjects, hostFailure }: FoundSubjects): readonly Subject[] {
    if (hostFailure === undefined) {
      this.#seen = subjects;
      return subjects;
    }
    const there = new Set(subjects.map(({ identity }) => identity));
    return [...this.#seen.filter(({ identity }) => !there.has(identity)), ...subjects];
  }

  /**
   * Reports what keeps policies idle without a failure. Each line is said once, until it no longer applies.
   */
  #sayOf(hostFailure: AppError | undefined, { policies }: LoadedConfiguration): void {
    const idle = hostFailure === undefined ? policies.filter((policy) => !this.#isUsed(policy)) : [];
    const lines = idle.map(
      ({ name }) => `Warning: the policy ${quote(name)} is about nothing that there is.`,
    );
    if (hostFailure !== undefined) {
      const { hint } = hostFailure;
      lines.push(
        `Warning: the volumes cannot be listed: ${errorInWords(hostFailure)}. ${hint ?? ''}`.trimEnd(),
      );
    }
    for (const line of lines) if (!this.#said.has(line)) this.#scope.say(line);
    this.#said = new Set(lines);
    // A restarted engine is away briefly: only two looks with the same result are reported.
    const isSure = hostFailure === undefined ? this.#isHostAway !== false : this.#isHostAway === true;
    if (isSure) this.#tell(happeningOfHost(hostFailure));
    this.#isHostAway = hostFailure !== undefined;
  }

  #isUsed({ name, schedule }: Policy): boolean {
    return (
      schedule === undefined ||
      this.#tasks.some(({ action, policy }) => action === 'backup' && policy.name === name)
    );
  }

  async #readConfiguration(): Promise<void> {
    const { configuration, problem } = await this.#scope.work.configuration();
    this.#isStale = false;
    this.#open = timetables();
    this.#configuration = configuration;
    if (problem !== undefined) {
      const { message, detail } = problem;
      const more = detail === undefined ? '' : `\n${detail}`;
      this.#scope.say(`Warning: ${message}; the one before stays in force.${more}`);
    }
    this.#noteProblem(problem, true);
  }

  /**
   * A file that is being written may be invalid briefly: only a problem that is seen twice in a row is
   * reported.
   */
  #noteProblem(problem: AppError | undefined, isSure = false): void {
    const before = this.#problem;
    this.#problem = problem;
    if (problem === undefined) {
      if (before !== undefined || isSure) this.#tell(happeningOfConfiguration(undefined));
      return;
    }
    if (isSure || before?.message === problem.message) this.#tell(happeningOfConfiguration(problem));
  }

  /** Begins the due jobs that can begin; returns when the next one is due. */
  #begin(): number | undefined {
    const { clock } = this.#scope;
    const busy = new Set([...this.#running.keys()].flatMap(({ tasks }) => tasks.map(({ task }) => task.key)));
    const idle = this.#tasks.filter(({ key }) => !busy.has(key));
    const plan = planDue(idle, this.#progress.cursors, clock.now());
    this.#progress.save(plan.changed);
    const wanted: DueTask[] = [];
    for (const due of plan.due) {
      if (due.isWanted && !isKiller(due)) wanted.push(due);
      else this.#skip(due);
    }
    const nowMs = clock.now();
    const together = withRestOfStacks(wanted, idle, { cursors: this.#progress.cursors, nowMs });
    const waiting = inTurn([...groupJobs(together), ...this.#forgetJobs()], this.#turns);
    const parallel = this.#configuration?.parallel ?? 1;
    for (const job of chooseJobs(waiting, [...this.#running.keys()], { parallel, nowMs }))
      this.#start({ ...job, beganMs: nowMs });
    return plan.wakeMs;
  }

  #skip(due: DueTask): void {
    const message = due.isWanted ? 'it was killed each time' : 'its time had passed';
    this.#progress.end(this.#progress.begin(due), {
      outcome: 'missed',
      code: undefined,
      message,
      snapshotId: undefined,
    });
    const scope = { ...this.#scope, now: () => this.#scope.clock.now() };
    this.#meanwhile(tellMissed(scope, { ...due, isWanted: false }));
  }

  #tell(happening: Happening): void {
    this.#meanwhile(tell(this.#scope, [happening]));
  }

  /** No turn waits for a notification. */
  #meanwhile(telling: Promise<void>): void {
    const told = telling.finally(() => this.#telling.delete(told));
    this.#telling.add(told);
  }

  #start(job: RunningJob): void {
    const scope: JobScope = {
      ...this.#scope,
      progress: this.#progress,
      now: () => this.#scope.clock.now(),
      signal: this.#cancel.signal,
    };
    const work = job.action === 'forget' ? this.#forget(scope, job) : this.#runTasks(scope, job);
    const ended = work
      .catch((error: unknown) => this.#scope.say(`Warning: ${knownError(error).message}`))
      .finally(() => {
        this.#running.delete(job);
        const turn = { number: ++this.#turnCount, endedMs: this.#scope.clock.now() };
        for (const { task } of job.tasks) this.#turns.set(task.key, turn);
        this.#wake.abort();
      });
    this.#running.set(job, ended);
  }

  async #runTasks(scope: JobScope, job: Job): Promise<void> {
    const settings = await runJob(scope, job);
    if (this.#options.signal.aborted || settings.length === 0) return;
    const nowMs = this.#scope.clock.now();
    for (const request of settings) {
      // It keeps its place in the queue, with the rules as they are now.
      const sinceMs = this.#forgets.find((other) => isSameForget(other, request))?.sinceMs ?? nowMs;
      this.#forgets = this.#forgets.filter((other) => !isSameForget(other, request));
      this.#forgets.push({ ...request, sinceMs });
    }
  }

  /**
   * One job for each repository, with all that is to be forgotten there: no other job can work in it
   * meanwhile.
   */
  #forgetJobs(): Job[] {
    const newestFirst = this.#forgets.toSorted((a, b) => b.sinceMs - a.sinceMs);
    const oldest = new Map(newestFirst.map((request) => [request.repository, request]));
    return [...oldest].map(([repository, { policy, sinceMs }]) => ({
      action: 'forget',
      policy,
      repository,
      sinceMs,
      tasks: [],
      subjects: [],
    }));
  }

  async #forget(scope: JobScope, { repository }: Job): Promise<void> {
    const settings = this.#forgets.filter((request) => request.repository === repository);
    this.#forgets = this.#forgets.filter((request) => request.repository !== repository);
    await runForget(scope, settings);
  }

  async #finish(): Promise<void> {
    const { clock, say } = this.#scope;
    await Promise.allSettled(this.#telling);
    if (this.#running.size === 0) return;
    const done = new AbortController();
    const all = Promise.allSettled(this.#running.values()).then(() => done.abort());
    await clock.sleep(this.#options.graceMs, done.signal);
    if (this.#running.size > 0) say('What is at work is cancelled; it is done again at the next start.');
    this.#cancel.abort();
    await all;
  }
}

function isSameForget(a: ForgetJob, b: ForgetJob): boolean {
  return (
    a.repository === b.repository &&
    a.policy.name === b.policy.name &&
    a.subject.identity === b.subject.identity
  );
}

/** All tasks, with the default repository by its name: one repository must not have two names. */
export function planTasks(
  configuration: Pick<LoadedConfiguration, 'policies' | 'defaults'>,
  subjects: readonly Subject[],
  {
    defaultRepository,
    open,
  }: { readonly defaultRepository: string; readonly open?: ReturnType<typeof timetables> },
): Task[] {
  const named = (policy: Policy): Policy => ({
    ...policy,
    repositories: [...new Set(policy.repositories.map((name) => (name === '' ? defaultRepository : name)))],
  });
  const assignments = assignPolicies(configuration, subjects).map((assignment) => ({
    ...assignment,
    policy: named(assignment.policy),
  }));
  return tasksOf(configuration.policies.map(named), assignments, open);
}
