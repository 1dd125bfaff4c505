import { type MountPoint, mountOver } from '../../lib/mountinfo.ts';
import type { UserNames } from '../../lib/user-names.ts';
import { fromText, toText } from '../../model/byte-string.ts';
import { quote } from '../../model/quote.ts';
import { describeRights, type Guard, maskedRights, right } from './access.ts';
import { isMapped, numberInside, type Runner } from './credentials.ts';
import type { DoctorFinding, Fix, Identity } from './diagnosis.ts';
import type { RefusedBelow } from './refused-below.ts';
import { isOfSystem, type PatientMount } from './patients.ts';
import type { Step } from './way.ts';

/** What refuses a container's user, and on which way. */
export interface Refusal {
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

/** What there is to say of a refusal, and what mends it. */
export function refusalFinding(
  patient: PatientMount,
  refusal: Refusal,
  {
    names,
    machine,
    isAsked,
  }: { readonly names: UserNames; readonly machine: readonly MountPoint[]; readonly isAsked: boolean },
): DoctorFinding {
  const { container, mount } = patient;
  const { runner, step, refused, hostPath, below } = refusal;
  const { guard } = step;
  const who = describeUser(runner);
  const place = quote(toText(step.path));
  const on = hostPath === undefined ? undefined : mountOver(machine, fromText(hostPath));
  const ownersOf = on !== undefined && ownersByMount.test(on.type) ? on.type : undefined;
  const planned = ownersOf === undefined ? planFix(patient, refusal) : undefined;
  // Data of others is opened where the place or the container was asked for by name.
  const fix = isAsked || planned?.kind !== 'acl' ? planned : undefined;
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
        : remedyOf(planned, refused),
    // A fix is carried out by its own command.
    commands: isSystem || ownersOf !== undefined || fix !== undefined ? [] : commandsOf(patient, refusal),
    position: undefined,
    fix,
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

/**
 * Gives the data to the user where root or no user has it; adds to the mode where it is the user's own. Nothing
 * is given away of the machine's own folders, or where a container of another user works with it as well: there, and
 * where an ACL's mask refuses, the user is let in beside the others.
 */
function planFix({ affected, container, mount }: PatientMount, refusal: Refusal): Fix | undefined {
  const { runner, step, refused, hostPath, tree } = refusal;
  const { guard } = step;
  const { credentials } = runner;
  if (hostPath === undefined) return undefined;
  const { path, identity } = tree ?? { path: hostPath, identity: step };
  if (isOfSystemMount(mount, path)) return undefined;
  if (guard.uid === credentials.uid) return { kind: 'mode', path, identity, add: refused << 6 };
  const { uid, gid, groups } = credentials;
  // By an ACL, its owner lets the user in: a change of the owner would take it from that.
  const masked = maskedRights(credentials, guard, refused);
  const isForeign = guard.uid === 0 || numberInside(credentials.uidMap, guard.uid) === undefined;
  // Other containers may work with it as it is.
  const isOfOthers =
    (!isForeign && affected.length > 0) || affected.some(({ user }) => user !== container.user);
  if (masked === 0 && !isOfOthers) return { kind: 'owner', path, identity, from: guard.uid, uid, gid };
  const rights = mount.readOnly ? right.read : right.read | right.write;
  return { kind: 'acl', path, identity, who: { uid, gid, groups }, rights, isMask: masked === refused };
}

/** A volume's data is no system's, wherever its engine keeps it. */
function isOfSystemMount({ type }: PatientMount['mount'], place: string): boolean {
  return type === 'bind' && isOfSystem(place);
}

function remedyOf(fix: Fix | undefined, refused: number): string {
  if (fix?.kind === 'mode') return `Let its owner do it: add u+${letters(refused)} to ${quote(fix.path)}.`;
  if (fix?.kind === 'owner')
    return `Give all of ${quote(fix.path)} that belongs to user ${fix.from} to ${fix.uid}:${fix.gid}, as which the container runs.`;
  if (fix?.kind !== 'acl')
    return 'Change it in the image: what is changed in the container alone is lost when it is made anew.';
  const { path, who, rights, isMask } = fix;
  const what = (rights & right.write) === 0 ? 'read' : 'read and write';
  if (isMask)
    return `Its ACL lets the user in, and the mask of that, which "chmod g-…" sets as well, does not: widen the mask, for user ${who.uid} alone, in ${quote(path)} and all below it where an ACL lets that user ${what}.`;
  return `Others work with it too: let user ${who.uid} ${what} ${quote(path)} and all below it, by ACLs that take it from none of them. What refuses files that a group may write to (PostgreSQL, ssh) cannot share them so.`;
}

/** Where there is no fix, since the container was not asked for by its name, or since it is the container's own. */
function commandsOf({ container }: PatientMount, refusal: Refusal): string[][] {
  const { step, refused, hostPath } = refusal;
  if (hostPath !== undefined) return [['holdfast', 'doctor', container.name, '--fix']];
  const command = ['docker', 'exec', '-u', '0', container.name, 'chmod'];
  return isOfContainersRoot(refusal) ? [[...command, `o+${letters(refused)}`, toText(step.path)]] : [];
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
