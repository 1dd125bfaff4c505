import type { CoverageReport, CoveredPlace } from '../../../app/app.ts';
import { amount } from '../../../model/size.ts';
import { printableField, quote } from '../../../model/quote.ts';
import { keyAdvice, type SetupReport } from './apply-setup.ts';
import type { SetupFacts, SetupPlan, SetupStep } from './setup-plan.ts';

/** What was found and what will be done, for display. */
export function describePlan(facts: SetupFacts, plan: SetupPlan): string {
  const steps = plan.steps.map((step) => `  - ${describeStep(step)}`);
  return [
    describeHost(facts),
    ...plan.stays.map((what) => `Stays as it is: ${what}.`),
    'What setup does:',
    ...steps,
  ].join('\n');
}

function describeHost({ host, volumes, bindMounts }: SetupFacts): string {
  // By name: a share with all films is mounted as easily as a folder with a site.
  const named = bindMounts.length === 0 ? '' : `: ${listed(bindMounts.map(printableField))}`;
  const data = `${amount(volumes, 'volume')} and ${amount(bindMounts.length, 'bind mount')}${named}`;
  if (host.kind !== 'embedded')
    return `Found ${host.kind === 'docker' ? 'Docker' : 'Podman'} ${host.version} at ${quote(host.endpoint)}, with ${data}.`;
  return `No container engine was found: what is set up is for the volumes that Holdfast keeps itself (${volumes}). If there is an engine, start it, or say where it is: DOCKER_HOST, CONTAINER_HOST or --host.`;
}

function describeStep(step: SetupStep): string {
  switch (step.kind) {
    case 'repository':
      return `makes the repository ${quote(step.location)}, with a key unless a password is given; one that is there is taken over`;
    case 'configuration':
      return `writes ${quote(step.file)}:\n\n${indented(step.text)}`;
    case 'service':
      return `installs and starts the service ${quote(step.path)}`;
    case 'notify':
      return 'sends a test notification';
    case 'backup':
      return 'backs up what has no good snapshot yet';
  }
}

function indented(text: string): string {
  return text.replace(/^(?=.)/gm, '      ');
}

/** The results, what is safe now, and what comes next. */
export function describeReport(report: SetupReport, runsBy: string | undefined): string {
  const { repository, configurationFile, serviceFile, backups, coverage } = report;
  const isChanged = [repository, configurationFile, serviceFile].some((made) => made !== undefined);
  const saved = backups.filter(({ snapshotId }) => snapshotId !== undefined).length;
  const lines = [
    ...(isChanged || backups.length > 0 ? [] : ['All of it was set up already: nothing was changed.']),
    ...(saved === 0 ? [] : [`Saved ${amount(saved, 'volume or directory', 'volumes and directories')}.`]),
    ...describeCoverage(coverage),
    ...(repository?.keyFile === undefined ? [] : [keyAdvice(repository.keyFile)]),
    'Next:',
    '  holdfast policy next      what runs when',
    runsBy === undefined
      ? '  holdfast daemon           backs up at these times: keep it running'
      : `  ${runsBy.padEnd(24)}  what it does`,
    '  holdfast drill STACK      proof that a backup can be restored',
  ];
  return lines.join('\n');
}

const shownAtMost = 10;

function describeCoverage({ places }: CoverageReport): string[] {
  const of = (wanted: CoveredPlace['state']): CoveredPlace[] =>
    places.filter(({ state }) => state === wanted);
  const [safe, unsafe, cache] = [of('protected'), of('unprotected'), of('cache')];
  return [
    `Protected: ${safe.length === 0 ? 'nothing yet' : listed(safe.map(nameOf))}.`,
    ...(unsafe.length === 0
      ? []
      : [
          'Not protected:',
          ...limited(unsafe).map((place) => `  ${nameOf(place)}: ${printableField(place.reason)}`),
        ]),
    ...(cache.length === 0 ? [] : [`Left out: ${listed(cache.map(nameOf))}. "holdfast coverage" says why.`]),
  ];
}

function limited<T>(all: readonly T[]): readonly T[] {
  return all.slice(0, shownAtMost);
}

function listed(names: readonly string[]): string {
  const more = names.length > shownAtMost ? ` and ${names.length - shownAtMost} more` : '';
  return `${limited(names).join(', ')}${more}`;
}

function nameOf({ kind, name }: CoveredPlace): string {
  return printableField(kind === 'anonymous' ? name.slice(0, 12) : name);
}
