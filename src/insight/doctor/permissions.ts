import type { MountPoint } from '../../lib/mountinfo.ts';
import { readUserNames } from '../../lib/user-names.ts';
import { fromText, toText } from '../../model/byte-string.ts';
import { isWithin } from '../../model/clean-path.ts';
import { errnoOf } from '../../model/errors.ts';
import { quote } from '../../model/quote.ts';
import { refusedRights, right } from './access.ts';
import { isMapped, plannedRunner, readRunners, type Runner } from './credentials.ts';
import type { Diagnosis, DoctorFinding, Remark } from './diagnosis.ts';
import type { UserNumbers } from './image-users.ts';
import { type Refusal, refusalFinding } from './permission-finding.ts';
import { findRefusedBelow } from './refused-below.ts';
import { isOfMachine, isUnwell, type PatientMount, subjectOf } from './patients.ts';
import { type Step, wayTo } from './way.ts';

/** Refusals for the user that a container really runs as, and the component of the path that refuses. */
export function diagnosePermissions(
  mounts: readonly PatientMount[],
  processes: ReadonlyMap<string, readonly number[]>,
  {
    isAsked,
    mapBase,
    users,
    machine,
  }: {
    readonly isAsked: boolean;
    readonly mapBase: number;
    /** Of containers that do not run. */
    readonly users: ReadonlyMap<string, UserNumbers>;
    /** The mounts of this machine. */
    readonly machine: readonly MountPoint[];
  },
): Diagnosis {
  const findings: DoctorFinding[] = [];
  const notLookedAt: Remark[] = [];
  const names = readUserNames();
  for (const mount of mounts) {
    if (mount.mount.type === 'other' || isOfMachine(mount)) continue;
    const runners = runnersOf(mount, processes, { mapBase, numbers: users.get(mount.container.id) });
    if (typeof runners === 'string') {
      notLookedAt.push({ subject: subjectOf(mount), reason: runners });
      continue;
    }
    try {
      const refusal = findRefusal(mount, runners, { isAsked, machine });
      if (refusal !== undefined) findings.push(refusalFinding(mount, refusal, { names, machine, isAsked }));
    } catch (error) {
      // What is missing is found by another diagnosis; what vanished meanwhile is healthy.
      if (errnoOf(error) === 'ENOENT') continue;
      notLookedAt.push({ subject: subjectOf(mount), reason: reasonOf(error) });
    }
  }
  return { findings: onceEach(findings), notLookedAt };
}

function reasonOf(error: unknown): string {
  const errno = errnoOf(error);
  if (errno === 'EACCES' || errno === 'EPERM') return 'this needs root';
  return error instanceof Error ? error.message : String(error);
}

function runnersOf(
  { container }: PatientMount,
  processes: ReadonlyMap<string, readonly number[]>,
  planned: { readonly mapBase: number; readonly numbers: UserNumbers | undefined },
): Runner[] | string {
  if (container.pid === undefined) {
    const runner = plannedRunner(container, planned);
    return runner === undefined
      ? `it does not run, and the number of its user ${quote(container.user)} is not known`
      : [runner];
  }
  const found = processes.get(container.id);
  if (found === undefined) return 'its processes are not to be seen from here';
  const runners = readRunners(container.pid, found);
  return runners.length === 0 ? 'it has ended meanwhile' : runners;
}

function findRefusal(
  patient: PatientMount,
  runners: readonly Runner[],
  { isAsked, machine }: { readonly isAsked: boolean; readonly machine: readonly MountPoint[] },
): Refusal | undefined {
  const steps = stepsTo(patient);
  const last = steps.at(-1);
  if (last === undefined) return undefined;
  const mountStep = steps.at(-1 - depthOf(patient.below)) ?? last;
  const hostRoot = placeOnMachine(patient, mountStep);
  for (const runner of relevant(runners)) {
    for (const step of steps) {
      const wanted = wantedAt(step, { patient, runner, first: runners[0], last, isAsked });
      const refused = refusedRights(runner.credentials, step.guard, wanted);
      if (refused === 0) continue;
      const isInside = isWithin(step.path, mountStep.path);
      const hostPath =
        isInside && hostRoot !== undefined
          ? hostRoot + toText(step.path.slice(mountStep.path.length))
          : undefined;
      // A component that another mount brings is that mount's.
      if (!isInside && isOfOther(patient, toText(step.path))) continue;
      return { runner, step, steps, refused, hostPath, below: undefined };
    }
  }
  return refusedFurtherDown(
    { ...patient, hostPath: hostRoot },
    { runners, steps, mountStep, isAsked, machine },
  );
}

/** Through the container's own root where it runs: what the container planted on the way leads nowhere else. */
function stepsTo({ container, mount, hostPath, below }: PatientMount): Step[] {
  const rest = below === '' ? '' : `/${below}`;
  if (container.pid !== undefined)
    return wayTo(`/proc/${container.pid}/root`, fromText(mount.destination + rest));
  if (hostPath === undefined) return [];
  // Only the mount itself counts: the engine mounts it whatever the folders above it allow.
  const steps = wayTo('/', fromText(hostPath + rest)).slice(-1 - depthOf(below));
  const top = steps[0]?.path ?? '/';
  // Named as the container will have them.
  return steps.map((step) => ({ ...step, path: fromText(mount.destination) + step.path.slice(top.length) }));
}

/**
 * The source of a mount, if it is what the container has there: it may have been replaced, and a container can
 * make its own path lead elsewhere.
 */
function placeOnMachine({ hostPath, container }: PatientMount, inside: Step): string | undefined {
  if (hostPath === undefined || container.pid === undefined) return hostPath;
  const source = wayTo('/', fromText(hostPath)).at(-1);
  return source?.device === inside.device && source.inode === inside.inode ? hostPath : undefined;
}

function depthOf(below: string): number {
  return below === '' ? 0 : below.split('/').length;
}

/** Processes of the first one's rights, and those of a server that gave up root for its workers. */
function relevant(runners: readonly Runner[]): readonly Runner[] {
  const [first, ...others] = runners;
  if (first === undefined) return [];
  const workers = others.filter(({ credentials }) => !credentials.overrides);
  return first.credentials.overrides ? [first, ...workers] : [first];
}

interface Wanting {
  readonly patient: PatientMount;
  readonly runner: Runner;
  readonly first: Runner | undefined;
  readonly last: Step;
  readonly isAsked: boolean;
}

/** The rights without which the application cannot work. */
function wantedAt(step: Step, { patient, runner, first, last, isAsked }: Wanting): number {
  if (step !== last) return right.enter;
  const reading = step.guard.isDirectory ? right.read | right.enter : right.read;
  const { mount, container, volume, others } = patient;
  if (mount.readOnly || !step.guard.isDirectory) return reading;
  // A folder that is only read is no fault: configuration is often mounted without `:ro`.
  const mustWrite =
    isUnwell(patient) ||
    isAsked ||
    (runner === first && volume !== undefined && others.length === 0 && container.pid !== undefined);
  return mustWrite && (runner === first || isAsked || isUnwell(patient)) ? reading | right.write : reading;
}

function isOfOther({ container, mount }: PatientMount, place: string): boolean {
  return container.mounts.some(
    (other) => other !== mount && other.type !== 'tmpfs' && isWithin(place, other.destination),
  );
}

/** Files and folders below a mount whose own folder is in order. */
function refusedFurtherDown(
  { container, hostPath, mount }: PatientMount,
  seen: {
    readonly runners: readonly Runner[];
    readonly steps: readonly Step[];
    readonly mountStep: Step;
    readonly isAsked: boolean;
    readonly machine: readonly MountPoint[];
  },
): Refusal | undefined {
  const { runners, steps, mountStep, isAsked, machine } = seen;
  const last = steps.at(-1);
  const [runner] = relevant(runners).filter(
    ({ credentials }) => !credentials.overrides || isMapped(credentials),
  );
  if (runner === undefined || last === undefined || hostPath === undefined || !last.guard.isDirectory)
    return undefined;
  if (!isAsked && !isUnwell({ container })) return undefined;
  const root = hostPath + toText(last.path.slice(mountStep.path.length));
  const found = findRefusedBelow(root, runner.credentials, { isReadOnly: mount.readOnly, mounts: machine });
  if (found === undefined) return undefined;
  const step = { ...last, path: `${last.path}/${found.first}`, guard: found.guard };
  return {
    runner,
    step,
    steps: [...steps, step],
    refused: found.refused,
    hostPath: `${root}/${toText(found.first)}`,
    tree: { path: root, identity: last },
    below: found,
  };
}

/** Two mounts of a container may lie behind one folder that refuses. */
function onceEach(findings: readonly DoctorFinding[]): DoctorFinding[] {
  return [
    ...new Map(findings.map((finding) => [`${finding.subject.name}\0${finding.message}`, finding])).values(),
  ];
}
