import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { CoverageReport, InitReport, PolicyBackup, SendResult } from '../../../app/app.ts';
import { knownError } from '../../../lib/known-error.ts';
import { makeFolders, writeDurably } from '../../../lib/durable-file.ts';
import { AppError, errnoOf, isAppError } from '../../../model/errors.ts';
import { isWithin } from '../../../model/clean-path.ts';
import { quote } from '../../../model/quote.ts';
import { installService } from '../service/install-service.ts';
import type { Session } from '../session.ts';
import { setupService } from './setup-facts.ts';
import type { SetupPlan, SetupStep } from './setup-plan.ts';

export interface SetupReport {
  /** Undefined when the repository existed already. */
  readonly repository: InitReport | undefined;
  readonly configurationFile: string | undefined;
  readonly serviceFile: string | undefined;
  readonly sent: readonly SendResult[];
  readonly backups: readonly PolicyBackup[];
  readonly coverage: CoverageReport;
  /** Failures that did not stop the rest. */
  readonly problems: readonly AppError[];
}

type Done = { -readonly [Name in keyof SetupReport]: SetupReport[Name] };

/**
 * Applies a plan in order. A failure ends it; when setup is repeated, completed steps are not. Only a failed
 * notification or backup does not stop the rest, and is in the report.
 */
export async function applySetup(
  session: Session,
  {
    plan,
    storeOptions,
  }: { readonly plan: SetupPlan; readonly storeOptions: Record<string, string> | undefined },
): Promise<SetupReport> {
  const done: Omit<Done, 'coverage'> = {
    repository: undefined,
    configurationFile: undefined,
    serviceFile: undefined,
    sent: [],
    backups: [],
    problems: [],
  };
  const { signal } = session;
  try {
    for (const step of plan.steps) {
      signal.throwIfAborted();
      Object.assign(done, await applyStep(session, step, { storeOptions, problems: done.problems }));
    }
    return { ...done, coverage: await session.app.policies.coverage({ signal }) };
  } catch (error) {
    // No later setup makes the repository, so none would say it.
    if (done.repository?.keyFile !== undefined) session.warn(keyAdvice(done.repository.keyFile));
    throw error;
  }
}

export function setupAsJson(
  { problems, backups, ...report }: SetupReport,
  { warnings }: Pick<SetupPlan, 'warnings'>,
): object {
  const inShort = ({ code, message }: AppError): object => ({ code, message });
  return {
    ...report,
    backups: backups.map(({ error, ...backup }) => ({
      ...backup,
      error: error === undefined ? null : inShort(error),
    })),
    problems: problems.map(inShort),
    warnings,
  };
}

interface StepOptions {
  readonly storeOptions: Record<string, string> | undefined;
  readonly problems: readonly AppError[];
}

async function applyStep(
  session: Session,
  step: SetupStep,
  { storeOptions, problems }: StepOptions,
): Promise<Partial<Done>> {
  const { app, signal, note } = session;
  switch (step.kind) {
    case 'repository': {
      const { location } = step;
      const repository = await app.repositories.init({
        location,
        storeOptions,
        signal,
        onNote: note,
      });
      const withKey = repository.keyFile === undefined ? '' : `, with the key ${quote(repository.keyFile)}`;
      note(
        `${repository.created ? 'Made' : 'Took over'} the repository ${quote(repository.location)}${withKey}.`,
      );
      return { repository };
    }
    case 'configuration':
      await writeConfiguration(step);
      note(`Wrote ${quote(step.file)}.`);
      await reloadDaemon(session);
      return { configurationFile: step.file };
    case 'service':
      await installService(setupService(app.config), { signal, onNote: note });
      note(`The service ${quote(step.path)} is installed and runs.`);
      return { serviceFile: step.path };
    case 'notify':
      return await sendTest(session, problems);
    case 'backup':
      return await backUpFirst(session, problems);
  }
}

/** Never overwrites a file that appeared meanwhile. Addresses in it may be secrets. */
async function writeConfiguration({
  file,
  text,
}: Extract<SetupStep, { kind: 'configuration' }>): Promise<void> {
  await makeFolders(path.dirname(file), { mode: 0o755 });
  try {
    await writeDurably(file, text, { mode: 0o600, isNew: true });
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw error;
    throw new AppError('conflict', `${quote(file)} was written by another program meanwhile`, {
      hint: 'Look at it, and run setup again.',
      cause: error,
    });
  }
}

/** A daemon that runs without a service, or with an unchanged one, has not read the new file. */
async function reloadDaemon({ app, signal }: Session): Promise<void> {
  const { daemon } = await app.policies.nextRuns({ signal });
  // A daemon that has not written its number yet has 0, which would signal this process's whole group.
  if (daemon === undefined || daemon.pid <= 0) return;
  try {
    process.kill(daemon.pid, 'SIGHUP');
  } catch (error) {
    // It has ended since: the next one reads the file by itself.
    if (errnoOf(error) !== 'ESRCH') throw error;
  }
}

async function sendTest(
  { app, signal, note }: Session,
  problems: readonly AppError[],
): Promise<Partial<Done>> {
  const sent = await app.activity.testNotifications(undefined, { signal });
  for (const { channel, isSent } of sent)
    if (isSent) note(`A test notification went over ${quote(channel)}.`);
  const failed = sent.filter(({ isSent }) => !isSent);
  return {
    sent,
    problems: [
      ...problems,
      ...failed.map(
        ({ channel, message }) =>
          new AppError('failed', `The test notification did not get through over ${quote(channel)}`, {
            detail: message,
            hint: `Mend it in holdfast.yaml, and try again: holdfast notify test ${channel}`,
          }),
      ),
    ],
  };
}

/** The daemon that was just started may hold some of it: then setup retries later. */
const lookAgainMs = 2000;
const looksAtMost = 60;

/**
 * Runs policies for all that has no good snapshot yet. Retries only what was locked: a failed backup may stop
 * its app, which must happen once only.
 */
async function backUpFirst(session: Session, problems: readonly AppError[]): Promise<Partial<Done>> {
  const backups: PolicyBackup[] = [];
  const errors: AppError[] = [];
  let locked: readonly Failure[] | undefined;
  for (let looks = 1; ; looks++) {
    const found = await runUnprotected(
      session,
      locked?.flatMap(({ names }) => names),
    );
    backups.push(...found.backups.filter(({ error }) => error === undefined));
    locked = found.failures.filter(({ error }) => error.code === 'locked');
    errors.push(...found.failures.flatMap(({ error }) => (error.code === 'locked' ? [] : error)));
    if (locked.length === 0 || looks >= looksAtMost)
      return { backups, problems: [...problems, ...errors, ...locked.map(({ error }) => error)] };
    await sleep(lookAgainMs, undefined, { signal: session.signal });
  }
}

interface Failure {
  /** Of volumes and paths. */
  readonly names: readonly string[];
  readonly error: AppError;
}

/** Of all that is unprotected, or only of these volumes and paths. */
async function runUnprotected(
  session: Session,
  among: readonly string[] | undefined,
): Promise<{ readonly backups: readonly PolicyBackup[]; readonly failures: readonly Failure[] }> {
  const { app, signal, note } = session;
  const { places } = await app.policies.coverage({ signal });
  const wanted = places.filter(
    ({ state, name }) => state === 'unprotected' && (among?.some((one) => isWithin(name, one)) ?? true),
  );
  const policies = new Set(wanted.flatMap((place) => place.policies));
  const failures: Failure[] = [];
  const backups: PolicyBackup[] = [];
  for (const policy of policies) {
    using progress = session.progress('Backup');
    const only = wanted.filter((place) => place.policies.includes(policy)).map(({ name }) => name);
    try {
      const { onProgress } = progress;
      const request = { name: policy, only, dryRun: false };
      const report = await app.policies.run(request, { signal, onProgress, onNote: note });
      backups.push(...report.backups);
      failures.push(
        ...report.backups.flatMap(({ name, error }) => (error === undefined ? [] : { names: [name], error })),
      );
    } catch (error) {
      if (isAppError(error, 'cancelled') || signal.aborted) throw error;
      failures.push({ names: only, error: knownError(error) });
    }
  }
  return { backups, failures };
}

export function keyAdvice(keyFile: string): string {
  return `The key of the repository is ${keyFile}. Copy it to another place now, a password manager or paper: without it the backups cannot be read, not even by you.`;
}
