import { statSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Container } from '../../hosts/containers.ts';
import { type MountPoint, readMounts } from '../../lib/mountinfo.ts';
import { unpackDevice } from '../../lib/posix.ts';
import { toPath, toText } from '../../model/byte-string.ts';
import { quote } from '../../model/quote.ts';
import { formatSize } from '../../model/size.ts';
import { groupFolders, type GroupFolders } from '../usage/top/read-sample.ts';
import type { Diagnosis, DoctorFinding, Remark } from './diagnosis.ts';
import {
  type Eater,
  type EaterSample,
  nameOfOther,
  planEaters,
  takeEaterSample,
  usersOf,
  wholeDisk,
} from './disk-eaters.ts';
import { diagnoseWaiting, shareWaiting } from './waiting-containers.ts';
import { readOrNothing } from './read-or-nothing.ts';

export interface PressureRequest {
  /** The mounts that something lies on. */
  readonly mounts: readonly MountPoint[];
  /** Those of the question. */
  readonly containers: readonly Container[];
  /** All that there are. */
  readonly neighbours: readonly Container[];
  readonly isAsked: boolean;
}

const sampleMs = 1000;

/** Disks that are busy and slow, containers that wait for theirs, and who keeps them busy. Looks for a second. */
export async function diagnosePressure(
  request: PressureRequest,
  signal: AbortSignal | undefined,
): Promise<Diagnosis> {
  const { mounts, containers, neighbours, isAsked } = request;
  const folders = controlGroups(await readMounts());
  const before = await takeSample(neighbours, folders);
  await sleep(sampleMs, undefined, { signal });
  const after = await takeSample(neighbours, folders);
  const waiting = shareWaiting(readOrNothing('/proc/pressure/io'));
  const seconds = (after.atMs - before.atMs) / 1000;
  const busy = uniqueDevices(mounts).flatMap(({ device, mount }): DoctorFinding[] => {
    const load = loadBetween(before, after, device);
    if (load === undefined || !isSlow(load, { waiting: waiting ?? 0, isAsked })) return [];
    const disk = wholeDisk(device);
    const users = usersOf(mount.device, neighbours);
    const options = { seconds, disk, containers: neighbours, users, nameOf: nameOfOther };
    return [deviceBusy(mount, { load, waiting, eaters: planEaters(before.eaters, after.eaters, options) })];
  });
  return {
    findings: [...busy, ...containers.flatMap((container) => diagnoseWaiting(container, folders))],
    notLookedAt: isAsked && waiting === undefined ? [noPressure] : [],
  };
}

function controlGroups(
  mounts: readonly MountPoint[],
): GroupFolders & { readonly memory: string | undefined } {
  const memory = mounts.find(
    ({ type, path: at }) => type === 'cgroup' && path.basename(at).split(',').includes('memory'),
  );
  return { ...groupFolders(mounts), memory: memory && toText(memory.path) };
}

const noPressure: Remark = {
  subject: 'how long programs wait for disks',
  reason: 'this kernel does not count it (/proc/pressure)',
};

/** A disk's counters; times in milliseconds. */
interface Counters {
  readonly requests: number;
  readonly waitedMs: number;
  readonly busyMs: number;
  readonly queuedMs: number;
}

interface Sample {
  readonly atMs: number;
  readonly devices: ReadonlyMap<string, Counters>;
  readonly eaters: EaterSample;
}

async function takeSample(containers: readonly Container[], folders: GroupFolders): Promise<Sample> {
  return {
    atMs: performance.now(),
    devices: parseDiskstats(readOrNothing('/proc/diskstats')),
    eaters: await takeEaterSample(containers, folders),
  };
}

/** The format of Documentation/admin-guide/iostats.rst, by `major:minor`; pure. */
export function parseDiskstats(text: string): ReadonlyMap<string, Counters> {
  const devices = new Map<string, Counters>();
  for (const line of text.split('\n')) {
    const [major, minor, , ...rest] = line.trim().split(/\s+/);
    const [reads = 0, , , readMs = 0, writes = 0, , , writeMs = 0, , busyMs = 0, queuedMs = 0] =
      rest.map(Number);
    if (minor !== undefined)
      devices.set(`${major}:${minor}`, {
        requests: reads + writes,
        waitedMs: readMs + writeMs,
        busyMs,
        queuedMs,
      });
  }
  return devices;
}

/** A file system of several disks, or on a subvolume, has a number of its own: its source is a disk. */
function uniqueDevices(
  mounts: readonly MountPoint[],
): { readonly device: string; readonly mount: MountPoint }[] {
  const found = new Map<string, MountPoint>();
  for (const mount of mounts) {
    const device = mount.device.startsWith('0:') ? deviceOfSource(mount) : mount.device;
    if (device !== undefined && !found.has(device)) found.set(device, mount);
  }
  return [...found].map(([device, mount]) => ({ device, mount }));
}

function deviceOfSource({ source }: MountPoint): string | undefined {
  if (!source.startsWith('/dev/')) return undefined;
  try {
    const { major, minor } = unpackDevice(statSync(toPath(source), { bigint: true }).rdev);
    return `${major}:${minor}`;
  } catch {
    // The disk is away.
    return undefined;
  }
}

export interface Load {
  /** 0 to 1. */
  readonly busy: number;
  /** Of one request. */
  readonly latencyMs: number;
  /** Requests that wait, on average. */
  readonly queue: number;
  readonly perSecond: number;
}

function loadBetween(before: Sample, after: Sample, device: string): Load | undefined {
  const [one, two] = [before.devices.get(device), after.devices.get(device)];
  const elapsedMs = after.atMs - before.atMs;
  if (one === undefined || two === undefined || two.requests === one.requests) return undefined;
  const requests = two.requests - one.requests;
  return {
    busy: Math.min(1, (two.busyMs - one.busyMs) / elapsedMs),
    latencyMs: (two.waitedMs - one.waitedMs) / requests,
    queue: (two.queuedMs - one.queuedMs) / elapsedMs,
    perSecond: (requests * 1000) / elapsedMs,
  };
}

const slowMs = 100;
const fewRequests = 10;

/**
 * A busy disk is no fault by itself: it is one where programs wait for it, where its answers take a tenth of a
 * second, or where the question is why something is slow. Pure.
 */
export function isSlow(
  { busy, latencyMs, perSecond }: Load,
  { waiting, isAsked }: { readonly waiting: number; readonly isAsked: boolean },
): boolean {
  if (perSecond >= fewRequests && latencyMs >= slowMs) return true;
  return busy >= 0.8 && (isAsked || waiting >= 40);
}

function deviceBusy(
  mount: MountPoint,
  {
    load,
    waiting,
    eaters,
  }: { readonly load: Load; readonly waiting: number | undefined; readonly eaters: readonly Eater[] },
): DoctorFinding {
  const at = toText(mount.path);
  const [eater] = eaters;
  return {
    id: 'HF-D061',
    rule: 'disk-busy',
    severity: 'downtime',
    subject: { kind: 'mount', name: at },
    message: `The disk of ${quote(at)} is busy for ${Math.round(load.busy * 100)}% of the time, and a request takes ${load.latencyMs.toFixed(1)} ms`,
    meaning: 'What reads and writes there waits for others before it.',
    evidence: [
      `${quote(toText(mount.source))}: ${Math.round(load.perSecond)} requests a second, ${load.queue.toFixed(1)} of them wait at a time`,
      ...(waiting === undefined
        ? []
        : [`in the last ten seconds some program waited for a disk for ${waiting}% of the time`]),
      ...eaters.map(
        ({ name, bytesPerSecond, isOfDisk }) =>
          `${name} reads and writes ${formatSize(bytesPerSecond)} a second${isOfDisk ? '' : ', on all disks together'}`,
      ),
    ],
    remedy:
      eater === undefined
        ? 'Find out what uses it, or give the data a faster disk.'
        : `Let ${eater.name} do less, do it at another time, or give it a disk of its own.`,
    commands: eater?.container === undefined ? [] : [['docker', 'stop', eater.container]],
    position: undefined,
    fix: undefined,
  };
}
