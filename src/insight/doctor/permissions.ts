import { type MountPoint, mountOver } from '../../lib/mountinfo.ts';
import { readUserNames, type UserNames } from '../../lib/user-names.ts';
import { fromText, toText } from '../../model/byte-string.ts';
import { isWithin } from '../../model/clean-path.ts';
import { errnoOf } from '../../model/errors.ts';
import { quote } from '../../model/quote.ts';
import { describeRights, type Guard, maskedRights, refusedRights, right } from './access.ts';
import { isMapped, numberInside, plannedRunner, readRunners, type Runner } from './credentials.ts';
import type { Diagnosis, DoctorFinding, Fix, Identity, Remark } from './diagnosis.ts';
import type { UserNumbers } from './image-users.ts';
import { findRefusedBelow, type RefusedBelow } from './refused-below.ts';
import { pastedByRoot } from './pasted.ts';
import { isOfMachine, isOfSystem, isUnwell, type PatientMount, subjectOf } from './patients.ts';
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
      if (refusal !== undefined) findings.push(findingOf(mount, refusal, { names, machine }));
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

interface Refusal {
  readonly runner: Runner;
  readonly step: Step;
  readonly steps: readonly Step[];
  readonly refused: number;
  /** Undefined for a component of the container's own file system. */
  readonly hostPath: string | undefined;
  /** The folder of this machine whose entries are to be given away; undefined: the component itself. */
  readonly tree?: { readonly path: string; readonly identity: Identity } | undefined;
  readonly below: RefusedBelow | undefined;
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

/** Here a change of the owner is refused, or taken and not done. */
const ownersByMount = /^(?:cifs|smb3|vfat|msdos|exfat|ntfs3?|hfs|fuseblk)$/;

/** With which such a file system lets the user in. */
function mountOptions(type: string, { runner, step: { guard }, refused }: Refusal): string {
  const { uid, gid } = runner.credentials;
  const mode = /^(?:cifs|smb3)$/.test(type) ? ['file_mode=0755', 'dir_mode=0755'] : ['umask=022'];
  return [
    ...(guard.uid === uid ? [] : [`uid=${uid}`, `gid=${gid}`]),
    ...(((guard.mode >> 6) & refused) === refused ? [] : mode),
  ].join(',');
}

function findingOf(
  patient: PatientMount,
  refusal: Refusal,
  { names, machine }: { readonly names: UserNames; readonly machine: readonly MountPoint[] },
): DoctorFinding {
  const { container, mount } = patient;
  const { runner, step, refused, hostPath, below } = refusal;
  const { guard } = step;
  const who = describeUser(runner);
  const place = quote(toText(step.path));
  const on = hostPath === undefined ? undefined : mountOver(machine, fromText(hostPath));
  const ownersOf = on !== undefined && ownersByMount.test(on.type) ? on.type : undefined;
  const fix = ownersOf === undefined ? planFix(patient, refusal) : undefined;
  const isSystem = hostPath !== undefined && isOfSystemMount(mount, refusal.tree?.path ?? hostPath);
  const rights = describeRights(refused, guard.isDirectory);
  return {
    id: 'HF-D001',
    rule: 'permission-denied',
    severity: 'downtime',
    subject: { kind: 'container', name: container.name },
    message: `${quote(container.name)} cannot ${rights} ${place}: it runs as ${who}, and ${place} belongs to ${describeOwner(guard, runner, names)} with mode ${octal(guard.mode)}`,
    meaning:
      below !== undefined && below.count > 1
        ? `The application gets "Permission denied" there, and for ${below.count - 1} more below ${quote(mount.destination)}.`
        : `The application gets "Permission denied" at ${quote(mount.destination)}.`,
    evidence: [
      runner.pid === undefined
        ? `it is to run as ${who}, by its configuration`
        : `process ${runner.pid} (${quote(runner.command)}) runs as ${who}`,
      ...refusal.steps.map((each) => describeStep(each, each === step)),
      ...(hostPath === undefined ? [] : [`on this machine it is ${quote(hostPath)}`]),
    ],
    remedy: isSystem
      ? 'It is the machine’s own: run the container as a user, or in a group, that may, or mount only what it needs.'
      : ownersOf !== undefined
        ? `Owner and mode of all files on ${quote(ownersOf)} are what it was mounted with: mount it with ${quote(mountOptions(ownersOf, refusal))} among its options, in place of those that say otherwise (a volume has its options from when it is made).`
        : remedyOf(fix, refusal),
    // A fix is carried out by its own command.
    commands: isSystem || ownersOf !== undefined || fix !== undefined ? [] : commandsOf(patient, refusal),
    position: undefined,
    fix,
  };
}

/**
 * Gives the data to the user where root or no user has it; adds to the mode where it is the user's own. Nothing
 * is given away of the machine's own folders, or where a container of another user works with it as well.
 */
function planFix(
  { affected, container, mount }: PatientMount,
  { runner, step, refused, hostPath, tree }: Refusal,
): Fix | undefined {
  const { guard } = step;
  const { credentials } = runner;
  if (hostPath === undefined) return undefined;
  const { path, identity } = tree ?? { path: hostPath, identity: step };
  if (isOfSystemMount(mount, path)) return undefined;
  if (guard.uid === credentials.uid) return { kind: 'mode', path, identity, add: refused << 6 };
  // By an ACL, its owner lets the user in: a change of the owner would take it from that.
  if (isMasked(runner, step, refused)) return undefined;
  const isForeign = guard.uid === 0 || numberInside(credentials.uidMap, guard.uid) === undefined;
  // Other containers may work with it as it is.
  if (!isForeign && affected.length > 0) return undefined;
  if (affected.some(({ user }) => user !== container.user)) return undefined;
  return { kind: 'owner', path, identity, from: guard.uid, uid: credentials.uid, gid: credentials.gid };
}

/** A volume's data is no system's, wherever its engine keeps it. */
function isOfSystemMount({ type }: PatientMount['mount'], place: string): boolean {
  return type === 'bind' && isOfSystem(place);
}

function remedyOf(fix: Fix | undefined, { runner, step, refused, hostPath }: Refusal): string {
  if (fix?.kind === 'mode') return `Let its owner do it: add u+${letters(refused)} to ${quote(fix.path)}.`;
  if (fix?.kind === 'owner')
    return `Give all of ${quote(fix.path)} that belongs to user ${fix.from} to ${fix.uid}:${fix.gid}, as which the container runs.`;
  if (hostPath === undefined)
    return 'Change it in the image: what is changed in the container alone is lost when it is made anew.';
  if (isMasked(runner, step, refused))
    return 'Its ACL lets the user in, and the mask of that, which "chmod g-…" sets as well, does not: widen the mask.';
  return `Other containers work with it too: let user ${runner.credentials.uid} in without taking it from them.`;
}

/** Where there is no fix, since other containers work with it too, or it is the container's own. */
function commandsOf({ container, affected }: PatientMount, refusal: Refusal): string[][] {
  const { runner, step, refused, hostPath, tree } = refusal;
  if (hostPath === undefined) {
    const command = ['docker', 'exec', '-u', '0', container.name, 'chmod'];
    return isOfContainersRoot(refusal) ? [[...command, `o+${letters(refused)}`, toText(step.path)]] : [];
  }
  const path = tree?.path ?? hostPath;
  const isMask = isMasked(runner, step, refused);
  const entry = isMask ? 'm::rwX' : `u:${runner.credentials.uid}:rwX`;
  const depth = isMask && tree === undefined ? [] : ['-R'];
  // What runs there could put a link in the place of a file while the tree is walked.
  const running = [container, ...affected].filter(({ pid }) => pid !== undefined).map(({ name }) => name);
  const change = pastedByRoot(['setfacl', ...depth, '-P', '-m', entry, path], path);
  return change.length === 0 || running.length === 0
    ? change
    : [['docker', 'stop', ...running], ...change, ['docker', 'start', ...running]];
}

function isMasked({ credentials }: Runner, { guard }: Step, refused: number): boolean {
  return maskedRights(credentials, guard, refused) !== 0;
}

/** Where another user of the container could put a link, root in it would open what root alone may write. */
function isOfContainersRoot({ steps, step, runner }: Refusal): boolean {
  const isRoots = ({ guard }: Step): boolean => numberInside(runner.credentials.uidMap, guard.uid) === 0;
  const way = steps.slice(0, steps.indexOf(step) + 1);
  return way.every((each, index) => {
    const above = way[index - 1];
    if (above === undefined) return true;
    const isOpenToOthers = (above.guard.mode & 0o022) !== 0;
    const isSticky = (above.guard.mode & 0o1000) !== 0;
    return isRoots(above) && (!isOpenToOthers || (isSticky && isRoots(each)));
  });
}

function letters(bits: number): string {
  return `${bits & 4 ? 'r' : ''}${bits & 2 ? 'w' : ''}${bits & 1 ? 'x' : ''}`;
}

function describeUser({ credentials }: Runner): string {
  const { uid, gid, groups, uidMap } = credentials;
  const inside = isMapped(credentials) ? ` (${numberInside(uidMap, uid) ?? 'no number'} inside)` : '';
  const more = groups.filter((group) => group !== gid);
  return `user ${uid}${inside}, group ${gid}${more.length > 0 ? ` and ${more.slice(0, 8).join(', ')}` : ''}`;
}

function describeOwner({ uid, gid, acl }: Guard, { credentials }: Runner, names: UserNames): string {
  const name = names.user(uid);
  const owner = `user ${uid}${name === '' ? '' : ` (${name})`}, group ${gid}`;
  const isUnknown = numberInside(credentials.uidMap, uid) === undefined;
  const inside = isUnknown ? ', who has no number in its user namespace,' : '';
  return `${owner}${inside}${acl === undefined ? '' : ', has an ACL,'}`;
}

function describeStep({ path, guard }: Step, isRefusing: boolean): string {
  const { uid, gid, mode, acl } = guard;
  return `${quote(toText(path))} ${uid}:${gid} ${octal(mode)}${acl === undefined ? '' : ' with an ACL'}${isRefusing ? '  <- refuses' : ''}`;
}

function octal(mode: number): string {
  return mode.toString(8).padStart(4, '0');
}

/** Two mounts of a container may lie behind one folder that refuses. */
function onceEach(findings: readonly DoctorFinding[]): DoctorFinding[] {
  return [
    ...new Map(findings.map((finding) => [`${finding.subject.name}\0${finding.message}`, finding])).values(),
  ];
}
