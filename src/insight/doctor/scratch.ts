import { readdirSync, statfsSync } from 'node:fs';
import type { Container } from '../../hosts/containers.ts';
import { DirectoryHandle } from '../../lib/directory-handle.ts';
import { parseMountinfo } from '../../lib/mountinfo.ts';
import { type ByteString, toPath, toText } from '../../model/byte-string.ts';
import { isWithin } from '../../model/clean-path.ts';
import { quote } from '../../model/quote.ts';
import { amount, formatSize, grouped } from '../../model/size.ts';
import type { Diagnosis, DoctorFinding } from './diagnosis.ts';
import { lackOf } from './full-disk.ts';
import type { Room } from './mount-answers.ts';
import { readOrNothing } from './read-or-nothing.ts';

/**
 * What a container runs out of that lies on no disk: room in its folders in memory (`/dev/shm`, `--tmpfs`), and what
 * its processes may open and write. `doesAnswer` is false for a path in a container that leads over storage that hangs.
 */
export function diagnoseScratch(
  containers: readonly Container[],
  {
    processes,
    doesAnswer,
  }: {
    readonly processes: ReadonlyMap<string, readonly number[]>;
    readonly doesAnswer: (container: Container, path: string) => boolean;
  },
): Diagnosis {
  const findings = containers.flatMap((container) => [
    ...(container.pid === undefined
      ? []
      : fullFolders(container, container.pid, (path) => doesAnswer(container, path))),
    ...limitsReached(container, processes.get(container.id) ?? []),
  ]);
  return { findings, notLookedAt: [] };
}

const tmpfs = 0x0102_1994;

/**
 * Of the container's own mounts of type tmpfs: what it has from the machine or a volume is judged there, and not
 * emptied by a restart. Those of `/proc` and `/sys` hide files of the
 * kernel.
 */
function fullFolders(
  container: Container,
  pid: number,
  doesAnswer: (path: string) => boolean,
): DoctorFinding[] {
  return parseMountinfo(readOrNothing(`/proc/${pid}/mountinfo`, 'latin1'))
    .filter(
      ({ type, path, isReadOnly }) =>
        type === 'tmpfs' &&
        !isReadOnly &&
        !/^\/(?:proc|sys)\//.test(path) &&
        !isGiven(container, toText(path)) &&
        doesAnswer(toText(path)),
    )
    .flatMap(({ path }) => {
      const room = roomOf(pid, path);
      const lack = room === undefined ? undefined : lackOf(room);
      return room === undefined || lack === undefined
        ? []
        : [folderFull(container, { place: toText(path), room, lack })];
    });
}

/** It comes with a bind mount, which may have others below it, or a volume. */
function isGiven({ mounts }: Container, place: string): boolean {
  const [innermost] = mounts
    .filter(({ destination }) => isWithin(place, destination))
    .toSorted((left, right) => right.destination.length - left.destination.length);
  return innermost !== undefined && innermost.type !== 'tmpfs';
}

/** Name by name, since a link of the container's would lead out of it. Undefined for another file system. */
function roomOf(pid: number, path: ByteString): Omit<Room, 'type'> | undefined {
  try {
    using root = DirectoryHandle.open(`/proc/${pid}/root`);
    using folder = root.openBelow(path.split('/').filter((name) => name !== ''));
    const { type, bsize, blocks, bavail, files, ffree } = statfsSync(toPath(folder.self));
    if (type !== tmpfs) return undefined;
    return { totalBytes: blocks * bsize, freeBytes: bavail * bsize, totalInodes: files, freeInodes: ffree };
  } catch {
    // It has ended meanwhile, or is another user's.
    return undefined;
  }
}

function folderFull(
  { name }: Container,
  {
    place,
    room,
    lack,
  }: { readonly place: string; readonly room: Omit<Room, 'type'>; readonly lack: 'room' | 'inodes' },
): DoctorFinding {
  const left =
    lack === 'room'
      ? `${formatSize(room.freeBytes)} of ${formatSize(room.totalBytes)} are free`
      : `${grouped(room.freeInodes)} of ${grouped(room.totalInodes)} files may still be made`;
  const isShared = place === '/dev/shm';
  return {
    id: 'HF-D034',
    rule: 'memory-folder-full',
    severity: 'downtime',
    subject: { kind: 'container', name },
    message: `${quote(place)} of ${quote(name)}, a folder in memory, is full: ${left}`,
    meaning: 'Writes there fail with "No space left on device", though the disks have room.',
    evidence: [
      ...(isShared ? ['programs share memory there; an engine gives 64 MB if it is not told otherwise'] : []),
      'what lies there is gone with the next start of the container',
    ],
    remedy: `See what takes the room, and make the container anew with more (${isShared ? '--shm-size, "shm_size" in a Compose file' : `--tmpfs ${place}:size=…`}); a restart empties it for now.`,
    commands: [
      ['docker', 'exec', name, 'du', '-a', '-d', '2', place],
      ['docker', 'restart', name],
    ],
    position: undefined,
    fix: undefined,
  };
}

const mostProcesses = 200;
/** With a lower limit, a program has taken the right to open more from itself, as sshd does before a login. */
const leastLimit = 8;
/** 128 and SIGXFSZ, by which the kernel ends what writes beyond its limit. */
const endedByFileSize = 128 + 25;

function limitsReached(container: Container, processes: readonly number[]): DoctorFinding[] {
  const { pid, state, exitCode } = container;
  if (pid === undefined)
    return state === 'exited' && exitCode === endedByFileSize ? [fileTooLarge(container)] : [];
  const most = processes
    .slice(0, mostProcesses)
    .map((one) => ({ pid: one, limit: openLimitOf(one), open: openFilesOf(one) }))
    .find(
      ({ limit, open }) =>
        limit !== undefined && limit >= leastLimit && open >= limit - Math.max(2, limit / 50),
    );
  return most?.limit === undefined ? [] : [filesOpen(container, { ...most, limit: most.limit })];
}

/** The soft limit, in the format of `/proc/PID/limits`. */
function openLimitOf(pid: number): number | undefined {
  const limit = /^Max open files\s+(\d+)/m.exec(readOrNothing(`/proc/${pid}/limits`))?.[1];
  return limit === undefined ? undefined : Number(limit);
}

function openFilesOf(pid: number): number {
  try {
    return readdirSync(`/proc/${pid}/fd`).length;
  } catch {
    // It has ended meanwhile, or is another user's.
    return 0;
  }
}

function filesOpen(
  { name }: Container,
  { pid, limit, open }: { readonly pid: number; readonly limit: number; readonly open: number },
): DoctorFinding {
  return {
    ...limitOf(name),
    message: `Process ${pid} of ${quote(name)} has ${amount(open, 'file')} open, of ${grouped(limit)} that it may`,
    meaning: 'It gets "Too many open files" for what it opens next: data, and connections too.',
    evidence: [
      quote(readOrNothing(`/proc/${pid}/cmdline`).split('\0').filter(Boolean).join(' ').slice(0, 80)),
    ],
    remedy:
      'Make the container anew with a higher limit (--ulimit nofile=…, "ulimits" in a Compose file); if that is reached again, the application does not close its files.',
    commands: [['docker', 'inspect', '-f', '{{json .HostConfig.Ulimits}}', name]],
  };
}

function fileTooLarge({ name }: Container): DoctorFinding {
  return {
    ...limitOf(name),
    message: `${quote(name)} was ended by the kernel, since a file reached the size that it may have`,
    meaning: 'A limit of the size of files (RLIMIT_FSIZE) refuses what goes beyond it: "File too large".',
    evidence: [`it ended with ${endedByFileSize}, by the signal SIGXFSZ`],
    remedy:
      'Make it anew without that limit (--ulimit fsize=…, "ulimits" in a Compose file, or "default-ulimits" of the engine).',
    commands: [['docker', 'inspect', '-f', '{{json .HostConfig.Ulimits}}', name]],
  };
}

function limitOf(
  name: string,
): Pick<DoctorFinding, 'id' | 'rule' | 'severity' | 'subject' | 'position' | 'fix'> {
  return {
    id: 'HF-D035',
    rule: 'process-limit',
    severity: 'downtime',
    subject: { kind: 'container', name },
    position: undefined,
    fix: undefined,
  };
}
