import type { HostAccess, HostInfo } from '../../hosts/host.ts';
import type { Container } from '../../hosts/containers.ts';
import type { AuditLog, JobOptions } from '../../activity/index.ts';
import { knownError } from '../../lib/known-error.ts';
import { isWithin } from '../../model/clean-path.ts';
import { AppError } from '../../model/errors.ts';
import { quote } from '../../model/quote.ts';
import type { Volume } from '../../model/volume.ts';
import { fromText, toText } from '../../model/byte-string.ts';
import { type MountPoint, mountOver, readMounts } from '../../lib/mountinfo.ts';
import { diagnoseHolds } from './dead-holds.ts';
import { diagnoseDenials } from './denials.ts';
import { diagnoseDevices, foldersInOptions, placeInOptions } from './missing-device.ts';
import { diagnoseDrivers } from './drivers.ts';
import { diagnoseDeleted } from './deleted-files.ts';
import { diagnoseFull } from './full-disk.ts';
import { diagnoseSources } from './missing-source.ts';
import { lookUpUsers } from './image-users.ts';
import { diagnoseManaged } from './managed.ts';
import { diagnoseVersions } from './other-version.ts';
import { diagnoseOrphans } from './orphans.ts';
import { diagnoseHoldfast, type OwnParts } from './own-health.ts';
import type { ManagedVolumes } from '../../volumes/index.ts';
import { diagnosePressure } from './pressure.ts';
import { diagnoseSchedules } from './schedules.ts';
import { listPlaces, type Place } from './places.ts';
import { diagnoseQuotas } from './quotas.ts';
import { diagnoseReadOnly } from './read-only.ts';
import { diagnoseRefusing } from './refusing-storage.ts';
import { diagnoseScratch } from './scratch.ts';
import { diagnoseServers } from './remote-servers.ts';
import { diagnoseSquash } from './squashed-root.ts';
import { diagnoseUnmounted } from './unmounted.ts';
import { diagnoseSilence } from './silent-storage.ts';
import { applyFixes, type FixOutcome } from './apply-fix.ts';
import { type DoctorReport, readyFindings, reportAsJson } from './report.ts';
import { lookAround, refuseUnknown, withAsked } from './surroundings.ts';
import { processesByContainer } from './credentials.ts';
import type { Diagnosis, DoctorFinding } from './diagnosis.ts';
import { askByMount, type MountAnswer } from './mount-answers.ts';
import { choosePatients, type PatientMount, type Patients, unjudged } from './patients.ts';
import { diagnosePermissions } from './permissions.ts';

export interface DoctorRequest {
  /** A volume, a container, or a path of this machine; undefined for all. */
  readonly subject: string | undefined;
}

export interface DoctorParts extends HostAccess, OwnParts {
  readonly managed: () => Promise<ManagedVolumes>;
  readonly log: Pick<AuditLog, 'list'>;
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

export function openDoctor(parts: DoctorParts): Doctor {
  const { stateDir } = parts;
  return {
    async examine({ subject }, { signal } = {}) {
      const found = await withAsked(await lookAround(parts.host, signal), subject, signal);
      const patients = choosePatients(found, subject);
      if (subject !== undefined) refuseUnknown(subject, patients, found.failure);
      const mounts = await readMounts();
      const repositories = await locationsOf(parts);
      const places = listPlaces(patients, { host: found.host, stateDir, mounts, repositories });
      const answers = await askPlaces(
        places,
        { mounts, around: patients.around, volumes: patients.volumes },
        signal,
      );
      refuseMissing(patients, answers);
      const { isAsked } = patients;
      // The processes of an engine on another machine are not this one's.
      const local = (containers: readonly Container[]): readonly Container[] =>
        found.host?.isRemote === true ? [] : containers;
      const processes = processesByContainer(local(found.containers));
      const users = await lookUpUsers(found.engine, patients.containers, signal);
      const answersAt = (container: Container, path: string): boolean =>
        doesAnswer(answers, { container, path }, patients.around);
      const answering = patients.mounts.filter(({ container, mount }) =>
        answersAt(container, mount.destination),
      );
      const mapBase = mapBaseOf(found.host);
      const quotas = diagnoseQuotas(answering, {
        ...{ answers, processes, users, mapBase },
        machine: mounts,
        nowMs: parts.now(),
      });
      const full = diagnoseFull(places, { answers, mounts, told: quotas.told });
      const isSmall = (mount: MountPoint): boolean =>
        full.findings.some(({ subject: { name } }) => name === toText(mount.path));
      const diagnoses: Diagnosis[] = [
        { findings: [], notLookedAt: [...found.notLookedAt, ...unjudged(patients)] },
        diagnoseSilence(places, answers, mounts),
        await diagnoseServers(patients.volumes, isAsked ? over(places, mounts) : mounts, signal),
        diagnoseDevices(patients.volumes, answers, mounts),
        await diagnoseDrivers(patients.volumes, found.findVolume, signal),
        diagnoseUnmounted(
          [...places, ...foldersInOptions(found.host?.isRemote === true ? [] : patients.volumes)],
          {
            ...{ answers, isAsked, machine: mounts, containers: local(found.containers) },
            // Podman has no service that would have to stop.
            dataRoot: found.host?.kind === 'docker' && !found.host.isRemote ? found.host.dataRoot : undefined,
          },
        ),
        diagnoseSources(answering, { isAsked, machine: mounts, mapBase, users }),
        diagnoseVersions(answering, parts.now()),
        await diagnoseDenials(answering, parts.now(), signal),
        diagnosePermissions(answering, processes, {
          isAsked,
          mapBase,
          users,
          machine: mounts,
        }),
        diagnoseReadOnly(answering, { containers: patients.containers, machine: mounts, isAsked }),
        diagnoseRefusing(answering, { isAsked, machine: mounts }),
        await diagnoseSquash(answering, { isAsked, machine: mounts, processes }, signal),
        diagnoseScratch(local(patients.containers), { processes, doesAnswer: answersAt }),
        quotas,
        full,
        diagnoseDeleted({
          processes,
          containers: found.containers,
          full: devicesOf(mounts.filter(isSmall)),
          only: isAsked ? devicesOf(over(places, mounts)) : undefined,
          asked: isAsked ? patients.containers : [],
        }),
        diagnoseHolds({
          containers: patients.containers,
          volumes: found.host?.isRemote === true ? [] : patients.volumes,
          processes,
          mounts,
        }),
        await lookAtManaged(parts.managed, answers, patients),
        await diagnosePressure(
          {
            mounts: over(places, mounts),
            containers: local(patients.containers),
            neighbours: local(found.containers),
            isAsked,
          },
          signal,
        ),
      ];
      // Who asks for one thing has nothing to do with the rest.
      if (!isAsked)
        diagnoses.push(
          diagnoseOrphans(found.host, found.volumes, answers),
          await diagnoseSchedules(
            {
              ...{ containers: found.containers, volumes: found.volumes, log: parts.log },
              ...{ stateDir, nowMs: parts.now() },
            },
            signal,
          ),
          await diagnoseHoldfast(parts, { containers: found.engine, answers }, signal),
        );
      return {
        looked: {
          containers: patients.containers.length,
          volumes: patients.volumes.length,
          mounts: patients.mounts.length,
        },
        findings: readyFindings(
          diagnoses.flatMap(({ findings }) => findings),
          { asked: patients.path ?? subject, host: found.host },
        ),
        notLookedAt: diagnoses.flatMap(({ notLookedAt }) => notLookedAt),
      };
    },
    applyFixes: (findings, { signal } = {}) => applyFixes(findings, signal),
    asJson: { report: reportAsJson },
  };
}

/** A state folder that cannot be read is told of where Holdfast's own health is looked at. */
async function locationsOf({ repositories }: OwnParts): Promise<readonly string[]> {
  return await repositories.list().then(
    (known) => known.map(({ location }) => location),
    () => [],
  );
}

async function lookAtManaged(
  open: DoctorParts['managed'],
  answers: ReadonlyMap<string, MountAnswer>,
  { isAsked, volumes }: Patients,
): Promise<Diagnosis> {
  try {
    return await diagnoseManaged(
      await open(),
      answers,
      (wanted) => !isAsked || volumes.some(({ name }) => name === wanted),
    );
  } catch (error) {
    const { message } = knownError(error);
    return { findings: [], notLookedAt: [{ subject: 'the volumes that Holdfast keeps', reason: message }] };
  }
}

/** An engine with a user namespace for its containers has the numbers of its root in the name of its folder. */
function mapBaseOf(host: HostInfo | undefined): number {
  // Without a remapping, such a name is a version or the like.
  if (host?.isRemapped !== true) return 0;
  return Number(/\/(\d+)\.\d+\/?$/.exec(host.dataRoot ?? '')?.[1] ?? 0);
}

/** A path that is missing is a finding where a container mounts it, and a typing error elsewhere. */
function refuseMissing(
  { containers, volumes, path }: Patients,
  answers: ReadonlyMap<string, MountAnswer>,
): void {
  if (path === undefined || containers.length + volumes.length > 0) return;
  const answer = answers.get(path);
  if (answer?.kind !== 'error' || !/No such file|Not a directory/.test(answer.message)) return;
  throw new AppError('not-found', `There is nothing at ${quote(path)}`, {
    hint: 'A volume or a container is asked for by its name, without "/" or "." before it.',
  });
}

/**
 * Besides the places, those are asked that are gone through on the way: the mounts that places lie on, whose room
 * also shows which place has a limit of its own; all mounts of the containers; and what options name.
 */
async function askPlaces(
  places: readonly Place[],
  on: {
    readonly mounts: readonly MountPoint[];
    readonly around: readonly PatientMount[];
    readonly volumes: readonly Volume[];
  },
  signal: AbortSignal | undefined,
): Promise<ReadonlyMap<string, MountAnswer>> {
  const paths = [
    ...places.map(({ path }) => path),
    ...on.around.flatMap(({ hostPath }) => hostPath ?? []),
    ...on.volumes.flatMap((volume) => placeInOptions(volume)?.path ?? []),
  ];
  return await askByMount(paths, on.mounts, signal);
}

function over(places: readonly Place[], mounts: readonly MountPoint[]): MountPoint[] {
  return [...new Set(places.flatMap(({ path }) => mountOver(mounts, fromText(path)) ?? []))];
}

function devicesOf(mounts: readonly MountPoint[]): ReadonlySet<string> {
  return new Set(mounts.map(({ device }) => device));
}

/** The way to a path in a container may lead over several of its mounts. */
function doesAnswer(
  answers: ReadonlyMap<string, MountAnswer>,
  { container, path }: { readonly container: Container; readonly path: string },
  around: readonly PatientMount[],
): boolean {
  return !around.some(
    (other) =>
      other.container === container &&
      isWithin(path, other.mount.destination) &&
      other.hostPath !== undefined &&
      answers.get(other.hostPath)?.kind === 'silent',
  );
}
