import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import type { Container } from '../../hosts/containers.ts';
import { parseMountinfo } from '../../lib/mountinfo.ts';
import { unpackDevice } from '../../lib/posix.ts';
import { quote } from '../../model/quote.ts';
import { amount, formatSize } from '../../model/size.ts';
import type { Diagnosis, DoctorFinding } from './diagnosis.ts';

/** Deleted files on one file system that a process still has open. */
interface Held {
  readonly pid: number;
  /** `major:minor` */
  readonly device: string;
  readonly bytes: number;
  readonly files: number;
  readonly largest: string;
  /** The largest was made without a name. */
  readonly isNameless: boolean;
}

export interface DeletedRequest {
  readonly processes: ReadonlyMap<string, readonly number[]>;
  readonly containers: readonly Container[];
  /** Devices of file systems that are full: there, little counts. */
  readonly full: ReadonlySet<string>;
  /** Only these devices, when something was asked for. */
  readonly only: ReadonlySet<string> | undefined;
  /** Containers that were asked for: of theirs, little counts too. */
  readonly asked: readonly Container[];
}

const littleBytes = 1 << 20;
const muchBytes = 1 << 30;

/** Room that deleted files still take, and the process that holds them. */
export function diagnoseDeleted(request: DeletedRequest): Diagnosis {
  const { processes, containers, full, only } = request;
  const asked = new Set(request.asked.flatMap(({ id }) => processes.get(id) ?? []));
  const findings = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => heldBy(Number(name)))
    .filter(({ device }) => only === undefined || only.has(device))
    .filter(({ device, bytes, isNameless, pid }) => {
      if (full.has(device)) return bytes >= littleBytes;
      // A file that never had a name is a program's scratch: it is there because it is wanted.
      return !isNameless && bytes >= (asked.has(pid) ? littleBytes : muchBytes);
    })
    .map((held) => findingOf(held, ownerOf(held.pid, processes, containers)));
  return { findings, notLookedAt: [] };
}

/** Other users' processes are closed to this one, and processes end meanwhile: they hold nothing then. */
function heldBy(pid: number): Held[] {
  const byDevice = new Map<string, Held & { most: number }>();
  try {
    let disks: ReadonlySet<string> | undefined;
    for (const fd of readdirSync(`/proc/${pid}/fd`)) {
      const link = readlinkSync(`/proc/${pid}/fd/${fd}`);
      if (!link.endsWith(' (deleted)')) continue;
      disks ??= mountsOfDisks(pid);
      const [, mount = ''] =
        /^mnt_id:\s*(\d+)$/m.exec(readFileSync(`/proc/${pid}/fdinfo/${fd}`, 'latin1')) ?? [];
      // A file of a server would have to be asked for there, which can hang.
      if (!disks.has(mount)) continue;
      const stat = statSync(`/proc/${pid}/fd/${fd}`, { bigint: true });
      if (!stat.isFile() || stat.nlink > 0n) continue;
      const { major, minor } = unpackDevice(stat.dev);
      const device = `${major}:${minor}`;
      const bytes = Number(stat.blocks) * 512;
      const known = byDevice.get(device) ?? {
        pid,
        device,
        bytes: 0,
        files: 0,
        largest: '',
        isNameless: false,
        most: -1,
      };
      byDevice.set(device, {
        ...known,
        bytes: known.bytes + bytes,
        files: known.files + 1,
        ...(bytes > known.most
          ? {
              largest: link.slice(0, -' (deleted)'.length),
              isNameless: /\/#\d+ \(deleted\)$/.test(link),
              most: bytes,
            }
          : {}),
      });
    }
  } catch {
    return [...byDevice.values()];
  }
  return [...byDevice.values()];
}

const disk = /^(?:ext[234]|xfs|btrfs|f2fs|zfs|jfs|reiserfs|vfat|exfat|bcachefs|overlay)$/;

function mountsOfDisks(pid: number): ReadonlySet<string> {
  const mounts = parseMountinfo(readFileSync(`/proc/${pid}/mountinfo`, 'latin1'));
  return new Set(mounts.filter(({ type }) => disk.test(type)).map(({ id }) => String(id)));
}

function ownerOf(
  pid: number,
  processes: DeletedRequest['processes'],
  containers: readonly Container[],
): Container | undefined {
  const id = [...processes].find(([, pids]) => pids.includes(pid))?.[0];
  return containers.find((container) => container.id === id);
}

function findingOf({ pid, bytes, files, largest }: Held, container: Container | undefined): DoctorFinding {
  const command = commandOf(pid);
  const who =
    container === undefined
      ? `Process ${pid} (${quote(command)})`
      : `Process ${pid} (${quote(command)}) of ${quote(container.name)}`;
  return {
    id: 'HF-D033',
    rule: 'deleted-files-open',
    severity: 'hygiene',
    subject:
      container === undefined
        ? { kind: 'host', name: String(pid) }
        : { kind: 'container', name: container.name },
    message: `${who} holds ${formatSize(bytes)} of deleted files`,
    meaning:
      'Their room is free only when the process closes them or ends: "du" does not see them, "df" does.',
    evidence: [`${amount(files, 'deleted file')}, the largest was ${quote(largest)}`],
    remedy: 'Restart what holds them.',
    commands: [container === undefined ? ['kill', String(pid)] : ['docker', 'restart', container.name]],
    position: undefined,
    fix: undefined,
  };
}

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').filter(Boolean).join(' ').slice(0, 80);
  } catch {
    return '';
  }
}
