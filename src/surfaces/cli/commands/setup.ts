import path from 'node:path';
import { AppError } from '../../../model/errors.ts';
import { parsePairs } from '../parse-pairs.ts';
import type { Session } from '../session.ts';
import { applySetup, setupAsJson } from '../setup/apply-setup.ts';
import { describePlan, describeReport } from '../setup/describe-setup.ts';
import { missingVariablesError } from '../setup/missing-variables.ts';
import { parseChannel } from '../setup/notify-spec.ts';
import { gatherFacts, knownRepositories } from '../setup/setup-facts.ts';
import { planSetup, type SetupFacts, type SetupPlan } from '../setup/setup-plan.ts';

export interface SetupFlags {
  readonly schedule?: string;
  readonly notify?: readonly string[];
  readonly option?: readonly string[];
  readonly noService?: boolean;
  readonly dryRun?: boolean;
}

export async function runSetup(session: Session, flags: SetupFlags): Promise<void> {
  const { app, signal } = session;
  const channels = (flags.notify ?? []).map(parseChannel);
  const storeOptions = flags.option && parsePairs(flags.option, 'option');
  const withService = flags.noService !== true;
  const repository = await chooseRepository(session);
  const facts = await gatherFacts(app, { repository, storeOptions, withService }, { signal });
  const schedule = flags.schedule ?? '30 3 * * *';
  const plan = planSetup(facts, { repository, schedule, channels });
  refuseMissingVariables(facts, plan);
  for (const step of plan.steps)
    if (step.kind === 'configuration')
      await app.policies.checkConfiguration({ file: step.file, content: step.text });
  const shown = describePlan(facts, plan);
  for (const warning of plan.warnings) session.warn(`Warning: ${warning}`);
  if (flags.dryRun === true) return showDryRun(session, { facts, plan, shown });
  session.note(shown);
  if (!(await session.confirm('Go ahead?'))) throw new AppError('cancelled', 'Nothing was done');
  const report = await applySetup(session, { plan, storeOptions });
  session.printer.print({
    json: () => setupAsJson(report, plan),
    text: () => describeReport(report, logCommand(facts)),
    colours: { 'Protected:': 'green', 'Not protected:': 'red' },
    quiet: () => [],
  });
  for (const problem of report.problems) session.showError(problem);
  if (report.problems.length > 0)
    throw new AppError('partial', 'It is set up, and not all of it worked', {
      hint: 'Mend what is said above, and run setup again: it goes on where it is not done.',
    });
}

function showDryRun(
  session: Session,
  { facts, plan, shown }: { readonly facts: SetupFacts; readonly plan: SetupPlan; readonly shown: string },
): void {
  session.printer.print({ json: () => ({ dryRun: true, host: facts.host, ...plan }), text: () => shown });
}

/** Undefined is the existing default repository. */
async function chooseRepository(session: Session): Promise<string | undefined> {
  const { config, app } = session;
  const known = await knownRepositories(app);
  if (config.repository !== undefined) return absolute(config.repository, known);
  if (known.some(({ isDefault }) => isDefault)) return undefined;
  const answer = await session.ask(
    'Where to back up to? A directory, best on another disk; or s3:https://HOST/BUCKET, sftp:USER@HOST:/PATH, rest:https://HOST/, rclone:REMOTE:PATH:',
  );
  if (answer === undefined || answer === '')
    throw new AppError('usage', 'Where to back up to is missing', {
      hint: 'Say it with --repo: a directory on another disk, s3:https://HOST/BUCKET, sftp:USER@HOST:/PATH, rest:https://HOST/ or rclone:REMOTE:PATH.',
    });
  return absolute(answer, known);
}

/** Keeps the name of a known repository. */
function absolute(text: string, known: readonly { readonly name: string }[]): string {
  const isName = known.some(({ name }) => name === text);
  return isName || /^[a-z][a-z0-9]+:/i.test(text) ? text : path.resolve(text);
}

/** Only for a service that is to be installed; a running one may get them in another way. */
function refuseMissingVariables({ service }: SetupFacts, { steps }: SetupPlan): void {
  if (service === undefined || service.missingVariables.length === 0) return;
  if (steps.some(({ kind }) => kind === 'service'))
    throw missingVariablesError(service.missingVariables, service.variablesFile);
}

function logCommand({ service }: SetupFacts): string | undefined {
  if (service?.state === undefined) return undefined;
  return service.path.startsWith('/etc/') ? 'journalctl -u holdfast' : 'journalctl --user -u holdfast';
}
