import type { HostInfo } from '../../hosts/host.ts';
import { severities } from '../../model/finding.ts';
import type { FixOutcome } from './apply-fix.ts';
import type { Diagnosis, DoctorFinding } from './diagnosis.ts';

export interface DoctorReport extends Diagnosis {
  readonly looked: { readonly containers: number; readonly volumes: number; readonly mounts: number };
}

/** Findings as they are shown: with commands for this question and this engine, the worst first. Pure. */
export function readyFindings(
  findings: readonly DoctorFinding[],
  { asked, host }: { readonly asked: string | undefined; readonly host: HostInfo | undefined },
): DoctorFinding[] {
  return findings.map((finding) => forItsEngine(withItsCommand(finding, asked), host)).toSorted(worstFirst);
}

/** A fix holds what it changes open: a link that another user puts there meanwhile would lead a printed command elsewhere. */
function withItsCommand(finding: DoctorFinding, asked: string | undefined): DoctorFinding {
  if (finding.fix === undefined) return finding;
  const command = ['holdfast', 'doctor', asked ?? finding.subject.name, '--fix'];
  return { ...finding, commands: [command, ...finding.commands] };
}

/** Podman takes the words of Docker's command line, and has a command of its own. */
function forItsEngine(finding: DoctorFinding, host: HostInfo | undefined): DoctorFinding {
  if (host?.kind !== 'podman') return finding;
  const commands = finding.commands.map(([program = '', ...args]) => [
    program === 'docker' ? 'podman' : program,
    ...args,
  ]);
  return { ...finding, commands };
}

/** Hints come last. */
function worstFirst(a: DoctorFinding, b: DoctorFinding): number {
  const weight = ({ isHint, severity }: DoctorFinding): number =>
    isHint === true ? severities.length : severities.indexOf(severity);
  return weight(a) - weight(b);
}

/** The stable document of a report. */
export function reportAsJson(
  { findings, notLookedAt, looked }: DoctorReport,
  fixes?: readonly FixOutcome[],
): object {
  return {
    // What could not be looked at may be anything.
    healthy: findings.every(({ isHint }) => isHint === true) && notLookedAt.length === 0,
    findings: findings.map(({ fix, isHint = false, ...finding }) => ({
      ...finding,
      fixable: fix !== undefined,
      isHint,
    })),
    notLookedAt,
    looked,
    ...(fixes === undefined
      ? {}
      : {
          fixes: fixes.map(({ finding: { id, subject, message }, applied, error }) => ({
            id,
            subject,
            message,
            applied: applied ?? null,
            error: error ?? null,
          })),
        }),
  };
}
