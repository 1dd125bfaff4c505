import { closeSync, constants } from 'node:fs';
import path from 'node:path';
import { type DiskQuota, projectOf, type QuotaKind, readQuota } from '../../lib/disk-quota.ts';
import { type MountPoint, mountOver } from '../../lib/mountinfo.ts';
import { openTrusted } from '../../lib/open-trusted.ts';
import { reopen, statOpen } from '../../lib/posix-at.ts';
import { fromText, toText } from '../../model/byte-string.ts';
import { quote } from '../../model/quote.ts';
import { amount, formatSize } from '../../model/size.ts';
import { plannedRunner, readRunners } from './credentials.ts';
import type { Diagnosis, DoctorFinding } from './diagnosis.ts';
import type { UserNumbers } from './image-users.ts';
import type { MountAnswer } from './mount-answers.ts';
import { pastedByRoot } from './pasted.ts';
import type { PatientMount } from './patients.ts';

/** A user, group or project whose use of a file system is limited. */
interface Limited {
  readonly kind: QuotaKind;
  readonly id: number;
}

/** Limits of users, groups and projects that refuse a container its writes, though the disk has room. */
export function diagnoseQuotas(
  mounts: readonly PatientMount[],
  {
    answers,
    processes,
    users,
    mapBase,
    machine,
    nowMs,
  }: {
    readonly answers: ReadonlyMap<string, MountAnswer>;
    readonly processes: ReadonlyMap<string, readonly number[]>;
    /** Of containers that do not run. */
    readonly users: ReadonlyMap<string, UserNumbers>;
    readonly mapBase: number;
    /** The mounts of this machine. */
    readonly machine: readonly MountPoint[];
    readonly nowMs: number;
  },
): Diagnosis & {
  /** Places whose project is told of: "df" shows its limit there as the room. */
  readonly told: ReadonlySet<string>;
} {
  const findings = new Map<string, DoctorFinding>();
  const told = new Set<string>();
  for (const patient of mounts) {
    const { hostPath, mount, container } = patient;
    if (hostPath === undefined || mount.readOnly || answers.get(hostPath)?.kind !== 'room') continue;
    const disk = mountOver(machine, fromText(hostPath));
    // Others have no limits of this kind, or those of a server, which only that knows.
    if (disk === undefined || !/^(?:ext[234]|xfs|f2fs)$/.test(disk.type)) continue;
    const device = toText(disk.source);
    const numbers = users.get(container.id);
    const { project, group } = ownersAt(hostPath);
    for (const limited of [
      ...project,
      ...usersOf(patient, processes.get(container.id) ?? [], { planned: { numbers, mapBase }, group }),
    ]) {
      const quota = readQuota(device, limited.kind, limited.id);
      const lack = quota === undefined ? undefined : lackUnder(quota);
      if (quota === undefined || lack === undefined) continue;
      if (limited.kind === 'project') told.add(hostPath);
      const key = `${container.id} ${device} ${limited.kind} ${limited.id}`;
      if (!findings.has(key)) findings.set(key, findingOf(patient, { limited, quota, lack, disk, nowMs }));
    }
  }
  return { findings: [...findings.values()], notLookedAt: [], told };
}

interface OwnersAt {
  readonly project: readonly Limited[];
  /** The group of all new files there, where the folder gives them its own (setgid). */
  readonly group: number | undefined;
}

function ownersAt(place: string): OwnersAt {
  try {
    using folder = openTrusted(fromText(place));
    const { mode, gid } = statOpen(folder.fd);
    const fd = reopen(folder.fd, constants.O_RDONLY | constants.O_DIRECTORY);
    try {
      const id = projectOf(fd);
      return {
        project: id === 0 ? [] : [{ kind: 'project', id }],
        group: (mode & 0o2000n) === 0n ? undefined : Number(gid),
      };
    } finally {
      closeSync(fd);
    }
  } catch {
    // It is a file, whose folder has the project; or is not to be read, or gone.
    return { project: [], group: undefined };
  }
}

/** Root's number is not limited: on XFS, its limit is the usual one of all others. */
function usersOf(
  { container }: PatientMount,
  processes: readonly number[],
  {
    planned,
    group,
  }: {
    readonly planned: { readonly mapBase: number; readonly numbers: UserNumbers | undefined };
    readonly group: number | undefined;
  },
): Limited[] {
  const runners =
    container.pid === undefined
      ? [plannedRunner(container, planned)].filter((runner) => runner !== undefined)
      : readRunners(container.pid, processes);
  const limited = new Map<string, Limited>();
  for (const { credentials } of runners)
    for (const one of [
      { kind: 'user', id: credentials.uid } as const,
      { kind: 'group', id: group ?? credentials.gid } as const,
    ])
      if (one.id !== 0) limited.set(`${one.kind} ${one.id}`, one);
  return [...limited.values()];
}

interface Lack {
  readonly of: 'room' | 'files';
  readonly limit: number;
  readonly used: number;
  /** A soft limit, whose time is over or runs. */
  readonly isSoft: boolean;
  /** Seconds since 1970. */
  readonly until: number;
}

/** What is missing, or will be when the time of a soft limit is over; pure. */
export function lackUnder(quota: DiskQuota): Lack | undefined {
  const { hardBytes, softBytes, usedBytes, hardFiles, softFiles, usedFiles, bytesUntil, filesUntil } = quota;
  if (isShort(hardBytes, usedBytes, leastBytes))
    return { of: 'room', limit: hardBytes, used: usedBytes, isSoft: false, until: 0 };
  if (isShort(hardFiles, usedFiles, leastFiles))
    return { of: 'files', limit: hardFiles, used: usedFiles, isSoft: false, until: 0 };
  if (softBytes > 0 && usedBytes > softBytes && bytesUntil > 0)
    return { of: 'room', limit: softBytes, used: usedBytes, isSoft: true, until: bytesUntil };
  if (softFiles > 0 && usedFiles > softFiles && filesUntil > 0)
    return { of: 'files', limit: softFiles, used: usedFiles, isSoft: true, until: filesUntil };
  return undefined;
}

const leastBytes = 16 << 20;
const leastFiles = 16;

/** Half a percent is left, or the least that an application takes at once; of a small limit, a twentieth. */
function isShort(limit: number, used: number, least: number): boolean {
  return limit > 0 && limit - used < Math.min(Math.max(limit / 200, least), limit / 20);
}

interface Reached {
  readonly limited: Limited;
  readonly quota: DiskQuota;
  readonly lack: Lack;
  readonly disk: MountPoint;
  readonly nowMs: number;
}

function findingOf(
  { container, mount, hostPath = '' }: PatientMount,
  { limited, quota, lack, disk, nowMs }: Reached,
): DoctorFinding {
  const who = `${limited.kind} ${limited.id}`;
  const at = toText(disk.path);
  const show = (number: number): string => (lack.of === 'room' ? formatSize(number) : amount(number, 'file'));
  const isLater = lack.isSoft && lack.until * 1000 > nowMs;
  const when = new Date(lack.until * 1000).toISOString();
  const commands = pastedByRoot(commandOf(limited, { quota, lack, disk }), `${path.dirname(at)}/`);
  return {
    id: 'HF-D032',
    rule: 'limit-reached',
    severity: 'downtime',
    subject: { kind: 'container', name: container.name },
    message: `${quote(container.name)} reaches a limit at ${quote(mount.destination)}: ${who} has ${show(lack.used)} of the ${show(lack.limit)} that it may have on ${quote(at)}`,
    meaning: isLater
      ? `From ${when} on, writes fail with "Disk quota exceeded", whatever room the disk has.`
      : 'Writes fail with "Disk quota exceeded" or "No space left on device", whatever room the disk has.',
    evidence: [
      `${quote(disk.type)} from ${quote(toText(disk.source))}, with limits for each ${limited.kind}`,
      `on this machine it is ${quote(hostPath)}`,
      ...(lack.isSoft ? [`the soft limit is passed, which is borne until ${when}`] : []),
    ],
    remedy: `Remove what is no longer needed, or raise the limit${commands.length > 0 ? ': the command doubles it' : ''}.`,
    // A link on the way leads to the limits of another file system. The name of the mount itself counts, too: in a mount
    // namespace that is older than the mount, it can be moved by a user who owns the folder above.
    commands,
    position: undefined,
    fix: undefined,
  };
}

const letters = { user: 'u', group: 'g', project: 'p' } as const;

/** Doubles the limit that is reached, and leaves the others as they are. */
function commandOf(
  { kind, id }: Limited,
  { quota, lack, disk }: Pick<Reached, 'quota' | 'lack' | 'disk'>,
): string[] {
  const limit = lack.limit * 2;
  const isRoom = lack.of === 'room';
  const kibibytes = (bytes: number): string => String(Math.ceil(bytes / 1024));
  if (disk.type === 'xfs') {
    // A soft limit above the hard one would be refused.
    const isAbove = lack.isSoft && limit > (isRoom ? quota.hardBytes : quota.hardFiles);
    const limits = [...(lack.isSoft ? ['soft'] : []), ...(!lack.isSoft || isAbove ? ['hard'] : [])];
    const words = limits.map((name) => (isRoom ? `b${name}=${kibibytes(limit)}k` : `i${name}=${limit}`));
    return ['xfs_quota', '-x', '-c', `limit -${letters[kind]} ${words.join(' ')} ${id}`, toText(disk.path)];
  }
  const { softBytes, hardBytes, softFiles, hardFiles } = quota;
  const raised = (soft: number, hard: number): [number, number] =>
    lack.isSoft ? [limit, hard === 0 ? 0 : Math.max(hard, limit)] : [soft, limit];
  const [bytesSoft, bytesHard] = isRoom ? raised(softBytes, hardBytes) : [softBytes, hardBytes];
  const [filesSoft, filesHard] = isRoom ? [softFiles, hardFiles] : raised(softFiles, hardFiles);
  return [
    ...['setquota', kind === 'project' ? '-P' : `-${letters[kind]}`, String(id)],
    ...[kibibytes(bytesSoft), kibibytes(bytesHard), String(filesSoft), String(filesHard)],
    toText(disk.path),
  ];
}
