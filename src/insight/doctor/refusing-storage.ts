import { closeSync, constants, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { inodeFlag, readInodeFlags } from '../../lib/ioctl.ts';
import { type MountPoint, mountOver, parseMountinfo } from '../../lib/mountinfo.ts';
import { openRegular } from '../../lib/open-regular.ts';
import { openTrusted } from '../../lib/open-trusted.ts';
import { nameOf, parentOf } from '../../lib/on-disk.ts';
import { reopen } from '../../lib/posix-at.ts';
import { fromBytes, fromText, toPath, toText } from '../../model/byte-string.ts';
import { isWithin } from '../../model/clean-path.ts';
import { quote } from '../../model/quote.ts';
import type { Diagnosis, DoctorFinding } from './diagnosis.ts';
import { pastedByRoot } from './pasted.ts';
import { isOfMachine, isUnwell, type PatientMount } from './patients.ts';
import { readOrNothing } from './read-or-nothing.ts';
import { mountsBelow } from './refused-below.ts';

/** What refuses an application though owner and mode let it: attributes of files, and mounts that run no programs. */
export function diagnoseRefusing(
  mounts: readonly PatientMount[],
  { isAsked, machine }: { readonly isAsked: boolean; readonly machine: readonly MountPoint[] },
): Diagnosis {
  const findings: DoctorFinding[] = [];
  for (const patient of mounts) {
    const { hostPath } = patient;
    if (hostPath === undefined || isOfMachine(patient)) continue;
    const refused = refusedPrograms(patient, hostPath, machine);
    const isMuch = isAsked && isUnwell(patient);
    // Few programs are setuid: "nosuid" is usual for /home and the like, and refuses nothing else.
    if (refused !== undefined && (isMuch || (refused.option === 'noexec' && runsFromThere(patient))))
      findings.push(noPrograms(patient, { ...refused, mount: mountOver(machine, fromText(hostPath)) }));
    // Configuration that is only read may well be kept from changes.
    if (patient.mount.readOnly || !(isAsked || isUnwell(patient))) continue;
    const kept = keptFromChanges(join(hostPath, patient.below), machine);
    if (kept.length > 0) findings.push(unchangeable(patient, kept));
  }
  return { findings, notLookedAt: [] };
}

interface RefusedPrograms {
  readonly option: 'noexec' | 'nosuid';
  /** The mount of this machine has it, and not that in the container alone. */
  readonly isOfSource: boolean;
}

/** What the container has mounted with such an option; undefined where it refuses neither. */
function refusedPrograms(
  { container, mount }: PatientMount,
  hostPath: string,
  machine: readonly MountPoint[],
): RefusedPrograms | undefined {
  const source = optionsAt(machine, hostPath);
  const seen =
    container.pid === undefined
      ? source
      : optionsAt(
          parseMountinfo(readOrNothing(`/proc/${container.pid}/mountinfo`, 'latin1')),
          mount.destination,
        );
  if (seen.includes('noexec')) return { option: 'noexec', isOfSource: source.includes('noexec') };
  // Podman mounts all so.
  const isNosuid = seen.includes('nosuid') && source.includes('nosuid');
  return isNosuid ? { option: 'nosuid', isOfSource: true } : undefined;
}

function optionsAt(mounts: readonly MountPoint[], place: string): readonly string[] {
  return mountOver(mounts, fromText(place))?.options ?? [];
}

/** Its program lies there. */
function runsFromThere({ container, mount }: PatientMount): boolean {
  const { command, entrypoint = [] } = container;
  const [program = ''] = [...entrypoint, ...command];
  return program.startsWith('/') && isWithin(program, mount.destination);
}

function noPrograms(
  { container, mount, hostPath = '' }: PatientMount,
  { option, isOfSource, mount: on }: RefusedPrograms & { readonly mount: MountPoint | undefined },
): DoctorFinding {
  const at = on === undefined ? hostPath : toText(on.path);
  const isNone = option === 'noexec';
  return {
    id: 'HF-D022',
    rule: 'runs-no-programs',
    severity: 'downtime',
    subject: { kind: 'container', name: container.name },
    message: `${quote(container.name)} can run ${isNone ? 'no programs' : 'no programs with the rights of their owner (setuid)'} from ${quote(mount.destination)}: it lies on a mount with "${option}"`,
    meaning: isNone
      ? 'A program or script that is started from there gets "Permission denied", whatever its mode says.'
      : 'A program such as "sudo" or "ping" there runs with the rights of its caller, and fails.',
    evidence: [`on this machine it is ${quote(hostPath)}, on the mount ${quote(at)}`],
    remedy: isOfSource
      ? `If it has to run them from there, mount ${quote(at)} without "${option}" (in /etc/fstab, too), and restart the container; otherwise keep its programs in the image.`
      : `The source has no "${option}" now: if it has to run them from there, restart the container, or make it anew without that option at this mount.`,
    commands: [
      ...(isOfSource ? pastedByRoot(['mount', '-o', `remount,${option.slice('no'.length)}`, at], at) : []),
      ['docker', 'restart', container.name],
    ],
    position: undefined,
    fix: undefined,
  };
}

interface Kept {
  readonly path: string;
  readonly how: 'immutable' | 'append-only';
}

const mostNames = 1000;

/** A file or folder with such an attribute, and of the names in a folder those that have one. */
function keptFromChanges(place: string, machine: readonly MountPoint[]): Kept[] {
  try {
    using folder = openTrusted(fromText(place));
    // One that is mounted there may hang.
    const others = mountsBelow(folder, machine);
    const names = readdirSync(toPath(folder.at('.')), { encoding: 'buffer' })
      .map(fromBytes)
      .filter((name) => !others.has(name));
    const own = attributesOf(reopen(folder.fd, constants.O_RDONLY | constants.O_DIRECTORY), place);
    return own.length > 0
      ? own
      : names
          .slice(0, mostNames)
          .flatMap((name) => fileAttributes(folder.fd, name, join(place, toText(name))));
  } catch {
    // A file; or closed to this user, or gone.
    return fileOf(place);
  }
}

function fileOf(place: string): Kept[] {
  try {
    using folder = openTrusted(parentOf(fromText(place)));
    return fileAttributes(folder.fd, nameOf(fromText(place)), place);
  } catch {
    return [];
  }
}

function fileAttributes(folder: number, name: string, path: string): Kept[] {
  try {
    return attributesOf(openRegular(folder, name).fd, path);
  } catch {
    // No file, or gone.
    return [];
  }
}

/** Closes the file. */
function attributesOf(fd: number, path: string): Kept[] {
  try {
    const flags = readInodeFlags(fd) ?? 0;
    if ((flags & inodeFlag.immutable) !== 0) return [{ path, how: 'immutable' }];
    return (flags & inodeFlag.appendOnly) !== 0 ? [{ path, how: 'append-only' }] : [];
  } finally {
    closeSync(fd);
  }
}

function unchangeable(
  { container, mount, hostPath = '' }: PatientMount,
  kept: readonly Kept[],
): DoctorFinding {
  const [first = { path: hostPath, how: 'immutable' }, ...others] = kept;
  const inside = join(mount.destination, first.path.slice(hostPath.length));
  const isFixed = first.how === 'immutable';
  return {
    id: 'HF-D023',
    rule: 'kept-from-changes',
    severity: 'downtime',
    subject: { kind: 'container', name: container.name },
    message: `${quote(inside)} in ${quote(container.name)} is ${first.how}${others.length === 0 ? '' : `, and ${others.length} more there`}: ${isFixed ? 'nothing can change, rename or delete it' : 'data can only be added at its end'}`,
    meaning: `The application gets "Operation not permitted" there, and so does root${isFixed ? '' : ' for all but appending'}.`,
    evidence: kept.slice(0, 10).map(({ path, how }) => `${quote(path)} is ${how} (lsattr shows it)`),
    remedy: 'If the application has to change it, take the attribute away; a person or a program has set it.',
    // What has it cannot be replaced by a link; the folders above it can.
    commands: kept
      .slice(0, 10)
      .flatMap(({ path, how }) =>
        pastedByRoot(['chattr', how === 'immutable' ? '-i' : '-a', path], dirname(path)),
      ),
    position: undefined,
    fix: undefined,
  };
}
