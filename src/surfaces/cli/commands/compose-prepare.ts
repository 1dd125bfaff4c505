import type { PreparePlan, PrepareOutcome, PrepareStep } from '../../../app/app.ts';
import { AppError } from '../../../model/errors.ts';
import { quote } from '../../../model/quote.ts';
import { amount } from '../../../model/size.ts';
import { type ComposeFlags, composeRequestOf } from '../compose-request.ts';
import { failAll } from '../fail-all.ts';
import type { Session } from '../session.ts';

export interface ComposePrepareFlags extends ComposeFlags {
  readonly dryRun?: boolean;
}

export async function runComposePrepare(
  session: Session,
  flags: ComposePrepareFlags,
  args: readonly string[],
): Promise<void> {
  const { app, signal, printer } = session;
  const plan = await app.compose.planPrepare(await composeRequestOf(session, flags, args), { signal });
  const { steps } = plan;
  const isDry = flags.dryRun === true || steps.length === 0;
  if (!isDry) {
    session.warn(describePlan(plan));
    if (!(await session.confirm(`Make ${amount(steps.length, 'thing')}?`)))
      return session.note('Nothing was made.');
  }
  const outcomes = isDry ? [] : await app.compose.prepare(plan, { signal });
  printer.print({
    json: () => ({ dryRun: flags.dryRun === true, ...plan, outcomes: outcomes.map(outcomeAsJson) }),
    text: () => (isDry ? describePlan(plan) : outcomes.map(describeOutcome).join('\n')),
    quiet: () => (isDry ? steps : outcomes.map(({ step }) => step)).map(nameOf),
  });
  const failures = outcomes.flatMap(({ error }) => error ?? []);
  failAll(session, failures, outcomes.length - failures.length);
  if (plan.missingFiles.length === 0 || flags.dryRun === true) return;
  throw new AppError(
    'partial',
    `${amount(plan.missingFiles.length, 'file')} must be put there by you before "up"`,
  );
}

function describePlan({ project, steps, missingFiles, notes }: PreparePlan): string {
  const nothing = steps.length + missingFiles.length === 0;
  return [
    ...(nothing ? [`There is nothing to prepare: the project ${quote(project)} has what it needs.`] : []),
    ...steps.map(describeStep),
    ...missingFiles.map(
      ({ path, usedBy }) => `missing  file ${quote(path)}, for ${usedBy.join(', ')}: ${whatToDo(path)}`,
    ),
    ...notes.map((note) => `note     ${note}`),
  ].join('\n');
}

function whatToDo(file: string): string {
  return file.endsWith('.sock') ? 'start what listens on it' : 'put it there';
}

function describeStep(step: PrepareStep): string {
  if (step.kind === 'folder') {
    const { path, owner, mode, because, usedBy } = step;
    const whose = owner === undefined ? 'owner as the folder above' : `owner ${owner.uid}:${owner.gid}`;
    return `make     folder ${quote(path)}, ${whose}, mode 0${mode.toString(8)} (${because}), for ${usedBy.join(', ')}`;
  }
  const { name, driver, options } = step.spec;
  const more = Object.keys(options).length === 0 ? '' : ` ${quote(optionsOf(options))}`;
  return `make     volume ${quote(name)}, driver ${driver}${more}${step.isEncrypted ? ', encrypted' : ''}`;
}

function optionsOf(options: Readonly<Record<string, string>>): string {
  return Object.entries(options)
    .map(([key, value]) => `${key}=${value}`)
    .join(' ');
}

function describeOutcome({ step, outcome, error }: PrepareOutcome): string {
  if (outcome === 'made') return `made     ${step.kind} ${quote(nameOf(step))}`;
  if (outcome === 'there') return `there    ${step.kind} ${quote(nameOf(step))}: left as it is`;
  return `failed   ${step.kind} ${quote(nameOf(step))}: ${error?.message ?? ''}`;
}

function nameOf(step: PrepareStep): string {
  return step.kind === 'folder' ? step.path : step.spec.name;
}

function outcomeAsJson({ step, outcome, error }: PrepareOutcome): object {
  const reason = error === undefined ? undefined : { code: error.code, message: error.message };
  return { kind: step.kind, name: nameOf(step), outcome, error: reason };
}
