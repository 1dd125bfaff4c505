import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import type { Container } from '../../../hosts/containers.ts';
import type { Host } from '../../../hosts/host.ts';
import type { HostKind, Volume } from '../../../model/volume.ts';
import { type MountPoint, readMounts } from '../../../lib/mountinfo.ts';
import { fromText, toPath, toText } from '../../../model/byte-string.ts';
import { errnoOf } from '../../../model/errors.ts';
import { isWithin } from '../../../model/clean-path.ts';
import { locationOf } from '../location.ts';
import {
  type Counted,
  parseBlkio,
  parseDiskstats,
  parseGroups,
  parseIoStat,
  parseMountstats,
  parsePressure,
  parseProcessIo,
} from './parse.ts';
import type { SeenContainer, SeenVolume, TopSample } from './plan-top.ts';

/** The counters of a host's containers and volumes, which lie on this machine. */
export async function sampleHost(host: Host, signal: AbortSignal): Promise<TopSample> {
  const containers = (await host.containers?.list({ signal })) ?? [];
  return await readSample({ host: host.kind, containers, volumes: await host.listVolumes({ signal }) });
}

export interface SampleRequest {
  readonly host: HostKind;
  readonly containers: readonly Container[];
  readonly volumes: readonly Volume[];
  /** Where `/proc` and `/sys` are; for tests. */
  readonly root?: string | undefined;
}

/** More would take longer than the interval; the first processes of a container do most of its work. */
const mostProcesses = 500;

/**
 * Reads all counters once. What has vanished since it was listed, is not there on this machine, or may not be
 * read is left out, with a note where it stays so.
 */
export async function readSample(request: SampleRequest): Promise<TopSample> {
  const { host, containers, volumes, root = '' } = request;
  const mounts = await readMounts();
  const groups = groupFolders(mounts);
  const disks = await text(`${root}/proc/diskstats`);
  const networks = parseMountstats((await text(`${root}/proc/self/mountstats`)) ?? '');
  const pressure = await text(`${root}/proc/pressure/io`);
  const seen: SeenContainer[] = [];
  for (const container of containers)
    if (container.pid !== undefined)
      seen.push(await seeContainer(container, container.pid, { groups, root }));
  const seenVolumes: SeenVolume[] = [];
  for (const volume of volumes) seenVolumes.push(await seeVolume(volume, { host, mounts, networks }));
  const notes = [
    ...(disks === undefined ? ['This machine shows no statistics of disks (/proc/diskstats).'] : []),
    ...(pressure === undefined ? ['This kernel tells no pressure (PSI is off).'] : []),
    ...(groups.unified === undefined && groups.blkio === undefined && seen.length > 0
      ? ['There are no control groups for I/O here: processes are added up.']
      : []),
  ];
  return {
    ...{ atMs: performance.now(), containers: seen, volumes: seenVolumes, notes },
    disks: parseDiskstats(disks ?? ''),
    waitedMicroseconds: pressure === undefined ? undefined : parsePressure(pressure),
  };
}

/** Where the hierarchies of control groups are mounted that count I/O. */
export interface GroupFolders {
  readonly unified: string | undefined;
  readonly blkio: string | undefined;
}

export function groupFolders(mounts: readonly MountPoint[]): GroupFolders {
  const unified = mounts.find(({ type }) => type === 'cgroup2')?.path;
  const blkio = mounts.find(
    ({ type, path: at }) => type === 'cgroup' && path.basename(at).split(',').includes('blkio'),
  )?.path;
  return { unified: unified && toText(unified), blkio: blkio && toText(blkio) };
}

interface SeeOptions {
  readonly groups: GroupFolders;
  readonly root: string;
}

async function seeContainer(
  { id, name }: Container,
  pid: number,
  { groups, root }: SeeOptions,
): Promise<SeenContainer> {
  const known = parseGroups((await text(`${root}/proc/${pid}/cgroup`)) ?? '');
  const unified = folderOf(groups.unified, known.unified);
  const blkio = folderOf(groups.blkio, known.blkio);
  const ioStat = unified && (await text(path.join(unified, 'io.stat')));
  const pressure = unified && (await text(path.join(unified, 'io.pressure')));
  const waitedMicroseconds = pressure === undefined ? undefined : parsePressure(pressure);
  const base = { id, name, waitedMicroseconds };
  if (ioStat !== undefined)
    return { ...base, devices: parseIoStat(ioStat), processes: undefined, note: undefined };
  const processes = await readProcesses(pid, { folder: blkio ?? unified, root });
  const devices = blkio === undefined ? undefined : await readBlkio(blkio);
  if (processes !== undefined) return { ...base, devices, processes, note: undefined };
  if (devices !== undefined)
    return { ...base, devices, processes: undefined, note: 'without what is written through the cache' };
  return { ...base, devices: undefined, processes: undefined, note: 'this user may not see its I/O' };
}

/** The group's folder; undefined for one outside of this process's own view of the groups. */
export function folderOf(mount: string | undefined, group: string | undefined): string | undefined {
  if (mount === undefined || group === undefined || group === '/' || group.startsWith('/..'))
    return undefined;
  return path.join(mount, group);
}

/** The counters of version 1; undefined where there are none. */
export async function readBlkio(folder: string): Promise<Map<string, Counted> | undefined> {
  for (const form of ['_recursive', '']) {
    const bytes = await text(path.join(folder, `blkio.throttle.io_service_bytes${form}`));
    const operations = await text(path.join(folder, `blkio.throttle.io_serviced${form}`));
    if (bytes !== undefined) return parseBlkio(bytes, operations ?? '');
  }
  return undefined;
}

/** Undefined when none may be read. */
async function readProcesses(
  first: number,
  { folder, root }: { readonly folder: string | undefined; readonly root: string },
): Promise<SeenContainer['processes']> {
  const listed = folder && (await text(path.join(folder, 'cgroup.procs')));
  const pids =
    listed === undefined ? [String(first)] : listed.split('\n').filter((line) => /^\d+$/.test(line));
  let seen = 0;
  let [readBytes, writtenBytes] = [0, 0];
  for (const pid of pids.slice(0, mostProcesses)) {
    const io = parseProcessIo((await text(`${root}/proc/${pid}/io`)) ?? '');
    if (io === undefined) continue;
    seen += 1;
    readBytes += io.readBytes;
    writtenBytes += io.writtenBytes;
  }
  return seen === 0 ? undefined : { readBytes, writtenBytes };
}

async function seeVolume(
  volume: Volume,
  {
    host,
    mounts,
    networks,
  }: {
    readonly host: HostKind;
    readonly mounts: readonly MountPoint[];
    readonly networks: ReturnType<typeof parseMountstats>;
  },
): Promise<SeenVolume> {
  const { name, anonymous, consumers } = volume;
  const base = { name, anonymous, containers: [...new Set(consumers.map(({ id }) => id))] };
  const at = volume.mountpoint;
  const network = at === undefined ? undefined : networks.get(fromText(at));
  if (network !== undefined) return { ...base, device: undefined, isOwn: false, network, note: undefined };
  const location = locationOf(volume, { host, mounts });
  if ('problem' in location)
    return { ...base, device: undefined, isOwn: false, network: undefined, note: location.problem };
  const mount = mounts.findLast(({ id }) => id === location.mountId) ?? coveringMount(mounts, location.path);
  const device = mount && (await blockDevice(mount));
  // Its own file system: all mounts of the device are the volume's.
  const isOwn =
    location.mountId !== undefined &&
    mount !== undefined &&
    mount.root === '/' &&
    mounts.every((one) => one.device !== mount.device || isWithin(one.path, location.path));
  const note = device === undefined ? 'it lies on no disk of this machine' : undefined;
  return { ...base, device, isOwn: isOwn && device !== undefined, network: undefined, note };
}

function coveringMount(mounts: readonly MountPoint[], at: string): MountPoint | undefined {
  let covering: MountPoint | undefined;
  for (const mount of mounts)
    if (isWithin(at, mount.path) && mount.path.length >= (covering?.path.length ?? 0)) covering = mount;
  return covering;
}

/** Btrfs and the like have a number that is no device's: there the source says which device it is. */
async function blockDevice({ device, source }: MountPoint): Promise<string | undefined> {
  if (!device.startsWith('0:')) return device;
  if (!source.startsWith('/dev/')) return undefined;
  try {
    const { rdev } = await stat(toPath(source));
    // As glibc's makedev() puts a number together, for numbers below 4096 and 2^20.
    return `${(rdev >> 8) & 0xfff}:${(rdev & 0xff) | ((rdev >> 12) & 0xf_ff00)}`;
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return undefined;
  }
}

/** Undefined for a file that is gone, never was, or may not be read. */
async function text(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'latin1');
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return undefined;
  }
}
