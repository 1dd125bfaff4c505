import { knownError } from '../lib/known-error.ts';
import { AppError, type ErrorCode, isAppError } from '../model/errors.ts';
import type { ForgottenRecord } from '../model/policy-run.ts';
import { quote } from '../model/quote.ts';
import { formatSize } from '../model/size.ts';
import { defaultUnusedLimit } from '../model/unused-limit.ts';
import type { ConfigurationSource } from './configuration/configuration-source.ts';
import { machineNames, ofNamesakes, takeOverHint, type ListedSnapshot } from '../snapshots/index.ts';
import type { JobOptions } from '../activity/index.ts';
import { defaultRepositoryOf } from './default-repository.ts';
import { failedOutcome } from './failed-outcome.ts';
import { listSubjects } from './list-subjects.ts';
import { policyTag } from '../model/policy.ts';
import type { OpenedApp, OpenPolicyApp } from './policy-app.ts';
import { openGate } from './prune-gate.ts';
import type { Forgotten, PolicyWork, SaveJob, SubjectOutcome, UpkeepOutcome } from './work.ts';

export interface PolicyWorkOptions {
  readonly source: ConfigurationSource;
  /** The repository that the command line or the environment names. */
  readonly repository: string | undefined;
  readonly open: OpenPolicyApp;
}

export function openPolicyWork({ source, repository: given, open }: PolicyWorkOptions): PolicyWork {
  const told = new Set<string>();
  /** Says a warning once, not at each look. */
  const noteOnce = (warning: string | undefined, { onNote }: JobOptions): void => {
    if (warning !== undefined && !told.has(warning)) onNote?.(`Warning: ${warning}`);
    if (warning !== undefined) told.add(warning);
  };
  const withRepository = async <T>(
    repository: string,
    act: (opened: OpenedApp) => Promise<T>,
  ): Promise<T> => {
    await using opened = open(repository);
    await opened.recoverAtStart();
    try {
      return await act(opened);
    } catch (error) {
      throw await awayError(opened, error);
    }
  };
  return {
    configuration: () => source.reload(),
    configurationProblem: () => source.problem(),
    async subjects({ policies }, options) {
      await using opened = open('');
      await opened.recoverAtStart();
      const { stateDir, host } = opened;
      const scope = { stateDir, host, catalog: await opened.catalog() };
      const { subjects, warnings, hostFailure } = await listSubjects(scope, policies, options);
      for (const warning of warnings) noteOnce(warning, options);
      return { subjects, hostFailure };
    },
    async defaultRepository(configuration) {
      await using opened = open('');
      return defaultRepositoryOf(await opened.catalog(), { given, configuration });
    },
    async backup(job, options) {
      return await withRepository(job.repository, (opened) => saveAll(opened, job, options));
    },
    async wasSaved({ subject, repository, startedAt }) {
      await using opened = open('');
      const catalog = await opened.catalog();
      const known = catalog
        .listRepositories()
        .find(({ name, location }) => name === repository || location === repository);
      return catalog
        .listRuns({ volumeIdentity: subject, limit: 50 })
        .some(
          (run) =>
            run.outcome === 'good' && run.startedAt >= startedAt && run.repositoryId === known?.repositoryId,
        );
    },
    async forget(job, options) {
      await withRepository(job.repository, async (opened) => {
        for (const subject of job.subjects) {
          const left = await forgetOne(opened, { job, name: subject.name }, options);
          const namesakes = ofNamesakes(left, subject, await machineNames(opened, options.signal));
          noteOnce(takeOverHint(namesakes, subject.name), options);
        }
      });
    },
    async prune(job, options) {
      return await withRepository(job.repository, (opened) => pruneProven(opened, options));
    },
    async check({ repository, percent }, options) {
      return await withRepository(repository, async ({ app }) =>
        judged((await app.proof.check({ readDataPercent: percent }, options)).errors),
      );
    },
    async verify({ repository, percent }, options) {
      const request = { targets: [], all: true, last: 1, readDataPercent: percent };
      return await withRepository(repository, async ({ app }) => {
        const { volumes, unreadable } = await app.proof.verify(request, options);
        const lost = unreadable.map(
          (id) => `the record of the snapshot ${quote(id.slice(0, 8))} cannot be read`,
        );
        return judged([...volumes.flatMap(({ errors }) => errors), ...lost]);
      });
    },
    async drill(job, options) {
      return await withRepository(job.repository, (opened) => drillAll(opened, job, options));
    },
    async tell(happenings) {
      await using opened = open('');
      (await opened.notifier()).tell(happenings);
    },
  };
}

/**
 * Turns a missing or different repository into `unavailable`: its disk is probably not mounted, and may come
 * back.
 */
async function awayError({ repository }: OpenedApp, error: unknown): Promise<unknown> {
  if (!isAppError(error, 'not-found') && !isAppError(error, 'conflict')) return error;
  if (await opens(repository)) return error;
  const { message, detail, hint } = error;
  return new AppError('unavailable', message, { detail, hint, cause: error });
}

async function opens(repository: OpenedApp['repository']): Promise<boolean> {
  return await repository().then(
    () => true,
    () => false,
  );
}

function judged(errors: readonly string[]): UpkeepOutcome {
  const [first] = errors;
  if (first === undefined) return { outcome: 'good', message: undefined };
  return {
    outcome: 'failed',
    message: errors.length === 1 ? first : `${first}, and ${errors.length - 1} more`,
  };
}

/** What an engine answers of a volume that is missing, and of one whose plugin is turned off, gone or failing. */
const ofOneVolume: ReadonlySet<ErrorCode> = new Set(['not-found', 'conflict', 'failed']);

/** One volume that cannot be found must not keep the others of its stack from being saved. */
async function saveAll(opened: OpenedApp, job: SaveJob, options: JobOptions): Promise<SubjectOutcome[]> {
  try {
    return await saveTogether(opened, job, options);
  } catch (error) {
    const mayBeOfOne = isAppError(error) && ofOneVolume.has(error.code) && job.subjects.length > 1;
    if (!mayBeOfOne || !(await opens(opened.repository))) throw error;
    const outcomes: SubjectOutcome[] = [];
    for (const subject of job.subjects) {
      const alone = { ...job, subjects: [subject] };
      outcomes.push(
        ...(await saveTogether(opened, alone, options).catch((own: unknown) => [
          failedOutcome(subject.identity, knownError(own)),
        ])),
      );
    }
    return outcomes;
  }
}

async function saveTogether(
  { app, repository }: OpenedApp,
  job: SaveJob,
  options: JobOptions,
): Promise<SubjectOutcome[]> {
  const { policy, subjects } = job;
  const report = await app.backup.run(
    {
      targets: subjects.map(({ name }) => name),
      all: false,
      stacks: [],
      marks: [policyTag(policy.name)],
      // The policy already includes the labels' settings, and the backup reads them again.
      base: { from: `the policy ${quote(policy.name)}`, settings: policy },
      dryRun: false,
    },
    options,
  );
  const { id: repositoryId } = await repository();
  const ended = report.outcomes.find(({ error }) => error !== undefined)?.error;
  return subjects.map(({ kind, name, identity }): SubjectOutcome => {
    const found = report.outcomes.find((outcome) => outcome.kind === kind && outcome.name === name);
    if (found === undefined)
      return failedOutcome(identity, ended ?? new AppError('failed', `${quote(name)} was not backed up`));
    const { outcome, snapshot, anomalies = [], error } = found;
    return {
      identity,
      outcome,
      snapshotId: snapshot?.id,
      repositoryId,
      anomalies,
      error,
    };
  });
}

interface ForgetOne {
  readonly job: SaveJob;
  readonly name: string;
}

/** Returns the snapshots of all machines that the policy saved, as they were before. */
async function forgetOne(
  { app, repository }: OpenedApp,
  { job, name }: ForgetOne,
  options: JobOptions & { readonly beforeRemoval: (forgotten: Forgotten) => void },
): Promise<readonly ListedSnapshot[]> {
  const { keep, name: policy } = job.policy;
  if (keep === undefined) return [];
  const request = {
    targets: [name],
    tags: [[policyTag(policy)]],
    rules: keep.rules,
    keepVerified: keep.verified,
    allowEmpty: false,
  };
  const plan = await app.retention.planForget(request, options);
  if (plan.refusal !== undefined) throw plan.refusal;
  const leaving = plan.groups.flatMap(({ decisions }) =>
    decisions.filter(({ stays }) => !stays).map(({ snapshot }) => snapshot),
  );
  const saved = await app.snapshots.list({ tags: [policyTag(policy)] }, options);
  if (leaving.length === 0) return saved;
  const { id: repositoryId } = await repository();
  for (const identity of new Set(leaving.flatMap(({ volume }) => volume?.identity ?? []))) {
    const times = leaving.filter(({ volume }) => volume?.identity === identity).map(({ time }) => time);
    options.beforeRemoval({ identity, name, repositoryId, times });
  }
  await app.retention.applyForget(plan, options);
  return saved;
}

async function pruneProven(opened: OpenedApp, options: JobOptions): Promise<UpkeepOutcome> {
  const { app } = opened;
  const { id } = await opened.repository();
  const catalog = await opened.catalog();
  const look = async (forgotten: readonly ForgottenRecord[]): Promise<ReturnType<typeof openGate>> =>
    openGate({
      anomalies: catalog.policies.listOpenAnomalies().filter(({ repositoryId }) => repositoryId === id),
      forgotten,
      snapshots: await app.snapshots.list({}, options),
      verified: new Set(catalog.listVerifiedSnapshots(id)),
    });
  const looked = new Set<string>();
  // Read again each time: a verification takes long, and other processes forget meanwhile.
  let forgotten = catalog.policies.listForgotten(id);
  let gate = await look(forgotten);
  while (gate.refusal === undefined && gate.unproven.length > 0) {
    const damaged = gate.unproven.find((snapshot) => looked.has(snapshot));
    if (damaged !== undefined) {
      const message = `the newest snapshot ${quote(damaged.slice(0, 8))} is not whole: nothing is pruned`;
      return { outcome: 'failed', message };
    }
    await app.proof.verify({ targets: gate.unproven, all: false, last: 1, readDataPercent: 100 }, options);
    for (const snapshot of gate.unproven) looked.add(snapshot);
    forgotten = catalog.policies.listForgotten(id);
    gate = await look(forgotten);
  }
  if (gate.refusal !== undefined) return { outcome: 'waiting', message: gate.refusal };
  const { freedBytes } = await app.retention.prune(
    { maxUnused: defaultUnusedLimit, maxRepackBytes: undefined },
    options,
  );
  catalog.policies.clearForgotten(forgotten);
  return { outcome: 'good', message: `${formatSize(freedBytes)} freed` };
}

async function drillAll(
  { app }: OpenedApp,
  { subjects }: SaveJob,
  options: JobOptions,
): Promise<UpkeepOutcome> {
  if (app.proof.drill === undefined) throw new AppError('unsupported', 'Drills are not supported here');
  const problems: string[] = [];
  for (const { name } of subjects) {
    const report = await app.proof.drill(
      { target: name, snapshot: undefined, command: undefined, keep: false, readyWithinMs: 120_000 },
      options,
    );
    if (report.outcome === 'unproven') problems.push(`not proven: ${report.unprovenBecause.join('; ')}`);
    if (report.outcome === 'failed')
      problems.push(report.problems[0] ?? `the drill of ${quote(name)} failed`);
  }
  return judged(problems);
}
