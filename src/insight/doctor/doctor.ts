import type { HostAccess, HostInfo } from '../../hosts/host.ts';
import type { Container } from '../../hosts/containers.ts';
import type { JobOptions } from '../../activity/index.ts';
import { knownError } from '../../lib/known-error.ts';
import { AppError, type ErrorCode } from '../../model/errors.ts';
import { quote } from '../../model/quote.ts';
import type { Volume } from '../../model/volume.ts';
import { type AppliedFix, applyFix } from './apply-fix.ts';
import { processesByContainer } from './credentials.ts';
import type { Diagnosis, DoctorFinding, Remark } from './diagnosis.ts';
import { askMounts, type MountAnswer } from './mount-answers.ts';
import { choosePatients, type Patients } from './patients.ts';
import { diagnosePermissions } from './permissions.ts';

export interface DoctorRequest {
  /** A volume, a container, or a path of this machine; undefined for all. */
  readonly subject: string | undefined;
}

export interface DoctorReport extends Diagnosis {
  readonly looked: { readonly containers: number; readonly volumes: number; readonly mounts: number };
}

export interface FixOutcome {
  readonly finding: DoctorFinding;
  /** Undefined when it failed. */
  readonly applied: AppliedFix | undefined;
  readonly error: { readonly code: ErrorCode; readonly message: string } | undefined;
}

/** Why an application cannot read its data, and why it is slow. */
export interface Doctor {
  /**
   * Looks, and changes nothing. What cannot be looked at is in the report. `not-found` for a subject that
   * there is not; never hangs for a mount that does.
   */
  examine(request: DoctorRequest, options?: JobOptions): Promise<DoctorReport>;
  /** Carries out the fixes of findings, each by itself. */
  applyFixes(findings: readonly DoctorFinding[], options?: JobOptions): Promise<FixOutcome[]>;
  readonly asJson: { report(report: DoctorReport, fixes?: readonly FixOutcome[]): object };
}

export function openDoctor({ host }: HostAccess): Doctor {
  return {
    async examine({ subject }, { signal } = {}) {
      const found = await lookAround(host, signal);
      const patients = choosePatients(found, subject);
      if (subject !== undefined) refuseUnknown(subject, patients);
      const answers = await askMounts(
        patients.mounts.flatMap(({ hostPath }) => hostPath ?? []),
        signal,
      );
      const { isAsked } = patients;
      const mapBase = mapBaseOf(found.host);
      const answering = patients.mounts.filter(({ hostPath }) => doesAnswer(answers, hostPath));
      const diagnoses: Diagnosis[] = [
        { findings: [], notLookedAt: found.notLookedAt },
        diagnosePermissions(answering, processesByContainer(), { isAsked, mapBase }),
      ];
      return {
        looked: {
          containers: patients.containers.length,
          volumes: patients.volumes.length,
          mounts: patients.mounts.length,
        },
        findings: diagnoses.flatMap(({ findings }) => findings),
        notLookedAt: diagnoses.flatMap(({ notLookedAt }) => notLookedAt),
      };
    },
    async applyFixes(findings, { signal } = {}) {
      const outcomes: FixOutcome[] = [];
      for (const finding of findings)
        if (finding.fix !== undefined) outcomes.push(await tryFix({ ...finding, fix: finding.fix }, signal));
      return outcomes;
    },
    asJson: { report: reportAsJson },
  };
}

async function tryFix(
  finding: DoctorFinding & { readonly fix: NonNullable<DoctorFinding['fix']> },
  signal: AbortSignal | undefined,
): Promise<FixOutcome> {
  try {
    return { finding, applied: await applyFix(finding.fix, signal), error: undefined };
  } catch (error) {
    const { code, message } = knownError(error);
    if (code === 'cancelled') throw error;
    return { finding, applied: undefined, error: { code, message } };
  }
}

interface Surroundings {
  readonly host: HostInfo | undefined;
  readonly containers: readonly Container[];
  readonly volumes: readonly Volume[];
  readonly notLookedAt: readonly Remark[];
}

/** An engine that does not answer leaves what can be looked at without it. */
async function lookAround(open: HostAccess['host'], signal: AbortSignal | undefined): Promise<Surroundings> {
  try {
    const host = await open();
    const [info, containers = [], volumes] = await Promise.all([
      host.info({ signal }),
      host.containers?.list({ signal }),
      host.listVolumes({ signal }),
    ]);
    const remote = {
      subject: `the storage of ${quote(info.name)}`,
      reason: 'the engine is on another machine',
    };
    return { host: info, containers, volumes, notLookedAt: info.isRemote === true ? [remote] : [] };
  } catch (error) {
    const { code, message } = knownError(error);
    if (code === 'cancelled') throw error;
    const notLookedAt = [{ subject: 'containers and volumes', reason: message }];
    return { host: undefined, containers: [], volumes: [], notLookedAt };
  }
}

/** An engine with a user namespace for its containers has the numbers of its root in the name of its folder. */
function mapBaseOf(host: HostInfo | undefined): number {
  return Number(/\/(\d+)\.\d+\/?$/.exec(host?.dataRoot ?? '')?.[1] ?? 0);
}

function refuseUnknown(subject: string, { containers, volumes, path }: Patients): void {
  if (path !== undefined || containers.length + volumes.length > 0) return;
  throw new AppError('not-found', `There is no volume and no container ${quote(subject)}`, {
    hint: 'See "holdfast volume ls". A path of this machine begins with "/" or ".".',
  });
}

function doesAnswer(answers: ReadonlyMap<string, MountAnswer>, path: string | undefined): boolean {
  return path === undefined || answers.get(path)?.kind !== 'silent';
}

function reportAsJson(
  { findings, notLookedAt, looked }: DoctorReport,
  fixes?: readonly FixOutcome[],
): object {
  return {
    healthy: findings.length === 0,
    findings: findings.map(({ fix, ...finding }) => ({ ...finding, fixable: fix !== undefined })),
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
