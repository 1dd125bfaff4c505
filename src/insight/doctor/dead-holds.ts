import { readdirSync, readlinkSync } from 'node:fs';
import type { Container } from '../../hosts/containers.ts';
import { type MountPoint, mountAt, parseMountinfo } from '../../lib/mountinfo.ts';
import { type ByteString, fromText, toText } from '../../model/byte-string.ts';
import { quote } from '../../model/quote.ts';
import type { Volume } from '../../model/volume.ts';
import { containerIdIn } from './credentials.ts';
import type { Diagnosis, DoctorFinding } from './diagnosis.ts';
import { readOrNothing } from './read-or-nothing.ts';

export interface HoldsRequest {
  readonly containers: readonly Container[];
  readonly volumes: readonly Volume[];
  readonly processes: ReadonlyMap<string, readonly number[]>;
  /** The mounts that this process sees. */
  readonly mounts: readonly MountPoint[];
}

/** What is held though its container has ended: by a process of it, or by another program that still sees its mount. */
export function diagnoseHolds({ containers, volumes, processes, mounts }: HoldsRequest): Diagnosis {
  const left = containers.flatMap((container) => {
    const pids = (processes.get(container.id) ?? []).filter((pid) => isLeft(pid, container));
    return pids.length === 0 ? [] : [processesLeft(container, pids)];
  });
  const running = new Set(containers.filter(({ pid }) => pid !== undefined).map(({ id }) => id));
  const unmounted = volumes.filter(
    ({ mountpoint, consumers }) =>
      mountpoint !== undefined &&
      !consumers.some(({ id }) => running.has(id)) &&
      mountAt(mounts, fromText(mountpoint)) === undefined,
  );
  // Without such a volume, nothing has to be read.
  const views = unmounted.length === 0 ? [] : readViews();
  const held = unmounted.flatMap((volume) => {
    const path = fromText(volume.mountpoint ?? '');
    const holders = views.flatMap((view) => {
      const mount = mountAt(view.mounts, path);
      // A file system that this machine has mounted itself is busy anyway.
      const isOurs = mounts.some(({ device }) => device === mount?.device);
      return mount === undefined || isOurs ? [] : [{ ...view, mount }];
    });
    return holders.length === 0 ? [] : [mountHeld(volume, holders)];
  });
  return { findings: [...left, ...held], notLookedAt: [] };
}

/** It began before its container ended; one that began later is of a new start. */
function isLeft(pid: number, { pid: first, finishedAt }: Container): boolean {
  const endedMs = Date.parse(finishedAt ?? '');
  if (first !== undefined || Number.isNaN(endedMs) || endedMs <= 0) return false;
  const fields = statOf(pid);
  // The kernel tells the whole second of the boot: one that a restart has begun directly after is not taken for it.
  const startedMs = (bootedSeconds() + 1 + Number(fields[19]) / ticksPerSecond) * 1000;
  return fields[0] !== 'Z' && startedMs < endedMs;
}

/** Of all kernels that Linux has programs for. */
const ticksPerSecond = 100;

/** The fields of `/proc/PID/stat` from the state on: the name before them may hold anything. */
function statOf(pid: number): string[] {
  const text = readOrNothing(`/proc/${pid}/stat`);
  return text === '' ? ['Z'] : text.slice(text.lastIndexOf(')') + 2).split(' ');
}

function bootedSeconds(): number {
  return Number(/^btime (\d+)$/m.exec(readOrNothing('/proc/stat'))?.[1] ?? Number.NaN);
}

function processesLeft({ name, finishedAt = '' }: Container, pids: readonly number[]): DoctorFinding {
  return {
    id: 'HF-D087',
    rule: 'process-left',
    severity: 'loss',
    subject: { kind: 'container', name },
    message: `${quote(name)} has ended for its engine, and ${pids.length === 1 ? 'a process of it runs' : `${pids.length} processes of it run`} on`,
    meaning:
      'It may still write: a backup of its data is torn, and a second start of the container works with the same files.',
    evidence: [
      `the engine says that it ended at ${finishedAt}`,
      ...pids.slice(0, 20).map((pid) => `process ${pid} (${quote(commandOf(pid))})`),
    ],
    remedy: 'End what is left; what does not end waits for its storage.',
    commands: [['kill', ...pids.map(String)]],
    position: undefined,
    fix: undefined,
  };
}

/** A mount namespace that is neither this process's, nor an engine's, nor a container's. */
interface View {
  readonly pids: readonly number[];
  readonly mounts: readonly MountPoint[];
}

/** Engines may have a namespace of their own, where volumes are mounted for containers. */
const engines = /^(?:dockerd|containerd|containerd-shim|conmon|podman|crio|rootlesskit)/;

function readViews(): View[] {
  const byNamespace = new Map<string, number[]>();
  const known = new Set([namespaceOf('self')]);
  for (const name of readdirSync('/proc').filter((each) => /^\d+$/.test(each))) {
    const namespace = namespaceOf(name);
    if (namespace === undefined) continue;
    const isTheirs =
      engines.test(readOrNothing(`/proc/${name}/comm`)) ||
      containerIdIn(readOrNothing(`/proc/${name}/cgroup`)) !== undefined;
    if (isTheirs) known.add(namespace);
    byNamespace.set(namespace, [...(byNamespace.get(namespace) ?? []), Number(name)]);
  }
  return [...byNamespace]
    .filter(([namespace]) => !known.has(namespace))
    .map(([, pids]) => ({ pids, mounts: mountsOf(pids) }));
}

/** Undefined for a process that has ended, or is closed to this user. */
function namespaceOf(pid: string): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/mnt`);
  } catch {
    return undefined;
  }
}

/** Of the first process that is still there. */
function mountsOf(pids: readonly number[]): MountPoint[] {
  for (const pid of pids) {
    const text: ByteString = readOrNothing(`/proc/${pid}/mountinfo`, 'latin1');
    if (text !== '') return parseMountinfo(text);
  }
  return [];
}

function mountHeld(
  { name, mountpoint = '' }: Volume,
  holders: readonly (View & { readonly mount: MountPoint })[],
): DoctorFinding {
  return {
    id: 'HF-D086',
    rule: 'mount-held',
    severity: 'downtime',
    subject: { kind: 'volume', name },
    message: `No container uses volume ${quote(name)}, and what it lies on is still mounted for another program`,
    meaning:
      'Its disk cannot be checked, closed, formatted or taken out: "Device or resource busy". What is deleted there by others may come back to it.',
    evidence: holders.flatMap(({ pids, mount }) => [
      `${quote(toText(mount.source))} is at ${quote(mountpoint)} in the mount namespace of process ${pids[0]} (${quote(commandOf(pids[0] ?? 0))})`,
      ...(pids.length > 1 ? [`and of ${pids.length - 1} more`] : []),
    ]),
    remedy: 'Unmount it there; or restart that program, which began while the volume was mounted.',
    // Any user can make such a namespace, with a program of theirs in the place of its umount: this one runs ours.
    commands: holders.map(({ pids }) => ['umount', '--namespace', String(pids[0]), mountpoint]),
    position: undefined,
    fix: undefined,
  };
}

function commandOf(pid: number): string {
  return readOrNothing(`/proc/${pid}/cmdline`).split('\0').filter(Boolean).join(' ').slice(0, 80);
}
