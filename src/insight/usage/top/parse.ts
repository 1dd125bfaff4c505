/** Bytes and operations since the start of a device, a group or a process. */
export interface Counted {
  readonly readBytes: number;
  readonly writtenBytes: number;
  readonly reads: number;
  readonly writes: number;
}

/** `io.stat` of a control group, version 2, by `major:minor`. Devices without I/O have no numbers. Pure. */
export function parseIoStat(text: string): Map<string, Counted> {
  const devices = new Map<string, Counted>();
  for (const line of text.split('\n')) {
    const [device, ...fields] = line.trim().split(' ');
    if (device === undefined || !isDevice(device)) continue;
    const values = new Map(fields.map((field) => split(field, '=')));
    const of = (key: string): number => numberOf(values.get(key));
    devices.set(device, {
      ...{ readBytes: of('rbytes'), writtenBytes: of('wbytes') },
      ...{ reads: of('rios'), writes: of('wios') },
    });
  }
  return devices;
}

/** `blkio.throttle.io_service_bytes` and `io_serviced` of a control group, version 1. Pure. */
export function parseBlkio(bytes: string, operations: string): Map<string, Counted> {
  const devices = new Map<string, Counted>();
  const [sizes, counts] = [blkioRows(bytes), blkioRows(operations)];
  for (const device of new Set([...sizes.keys(), ...counts.keys()])) {
    const [size, count] = [sizes.get(device), counts.get(device)];
    devices.set(device, {
      ...{ readBytes: numberOf(size?.get('Read')), writtenBytes: numberOf(size?.get('Write')) },
      ...{ reads: numberOf(count?.get('Read')), writes: numberOf(count?.get('Write')) },
    });
  }
  return devices;
}

function blkioRows(text: string): Map<string, Map<string, string>> {
  const rows = new Map<string, Map<string, string>>();
  for (const line of text.split('\n')) {
    const [device, kind, value] = line.trim().split(' ');
    if (device === undefined || kind === undefined || value === undefined || !isDevice(device)) continue;
    rows.set(device, (rows.get(device) ?? new Map<string, string>()).set(kind, value));
  }
  return rows;
}

/** How long some task waited, in microseconds, from `io.pressure` or `/proc/pressure/io`. Pure. */
export function parsePressure(text: string): number | undefined {
  const [, total] = /^some .*\btotal=(\d+)/m.exec(text) ?? [];
  return total === undefined ? undefined : numberOf(total);
}

/** `/proc/PID/io`: what reached storage, or will. Pure. */
export function parseProcessIo(text: string): Pick<Counted, 'readBytes' | 'writtenBytes'> | undefined {
  const values = new Map(text.split('\n').map((line) => split(line, ': ')));
  const [read, written] = [values.get('read_bytes'), values.get('write_bytes')];
  if (read === undefined || written === undefined) return undefined;
  // What was truncated before it was written back never reaches storage.
  const lost = numberOf(values.get('cancelled_write_bytes'));
  return { readBytes: numberOf(read), writtenBytes: Math.max(0, numberOf(written) - lost) };
}

export interface DiskCounted extends Counted {
  /** The sum of all operations, and the time in which there was any, in milliseconds. */
  readonly waitedMs: number;
  readonly busyMs: number | undefined;
}

const sectorBytes = 512;

/** `/proc/diskstats`, by `major:minor`. Pure. */
export function parseDiskstats(text: string): Map<string, DiskCounted> {
  const disks = new Map<string, DiskCounted>();
  for (const line of text.split('\n')) {
    const fields = line.trim().split(/\s+/);
    if (fields.length < 14) continue;
    const at = (index: number): number => numberOf(fields[index]);
    disks.set(`${fields[0]}:${fields[1]}`, {
      ...{ reads: at(3), readBytes: at(5) * sectorBytes, writes: at(7), writtenBytes: at(9) * sectorBytes },
      ...{ waitedMs: at(6) + at(10), busyMs: at(12) },
    });
  }
  return disks;
}

/** The NFS mounts of `/proc/self/mountstats`, by the path where they are mounted. Pure. */
export function parseMountstats(text: string): Map<string, DiskCounted> {
  const mounts = new Map<string, DiskCounted>();
  for (const part of text.split(/^device /m)) {
    const [, path] = /^.* mounted on (\S+) with fstype nfs4? /.exec(part) ?? [];
    // Bytes between this machine and the server: the fifth and the sixth number.
    const bytes = /^\s*bytes:\s+(.+)$/m.exec(part)?.[1]?.split(/\s+/);
    if (path === undefined || bytes === undefined) continue;
    const [read, write] = [operation(part, 'READ'), operation(part, 'WRITE')];
    mounts.set(unescapeOctal(path), {
      ...{ readBytes: numberOf(bytes[4]), writtenBytes: numberOf(bytes[5]) },
      ...{ reads: read.count, writes: write.count },
      ...{ waitedMs: read.roundTripMs + write.roundTripMs, busyMs: undefined },
    });
  }
  return mounts;
}

function operation(part: string, name: string): { readonly count: number; readonly roundTripMs: number } {
  const fields = new RegExp(`^\\s*${name}:\\s+(.+)$`, 'm').exec(part)?.[1]?.split(/\s+/) ?? [];
  // Operations, transmissions, time-outs, bytes sent, bytes received, queue, round trip, all of it.
  return { count: numberOf(fields[0]), roundTripMs: numberOf(fields[6]) };
}

export interface GroupPaths {
  /** In the unified hierarchy. */
  readonly unified: string | undefined;
  /** In version 1's hierarchy of block devices. */
  readonly blkio: string | undefined;
}

/** `/proc/PID/cgroup`. Pure. */
export function parseGroups(text: string): GroupPaths {
  let unified: string | undefined;
  let blkio: string | undefined;
  for (const line of text.split('\n')) {
    const [, number, controllers, path] = /^(\d+):([^:]*):(\/.*)$/.exec(line) ?? [];
    if (path === undefined || controllers === undefined) continue;
    if (number === '0' && controllers === '') unified = path;
    if (controllers.split(',').includes('blkio')) blkio = path;
  }
  return { unified, blkio };
}

function isDevice(text: string): boolean {
  return /^\d+:\d+$/.test(text);
}

function numberOf(text: string | undefined): number {
  const value = Number(text);
  return text === undefined || !Number.isFinite(value) || value < 0 ? 0 : value;
}

function split(text: string, at: string): [string, string] {
  const index = text.indexOf(at);
  return index === -1 ? [text, ''] : [text.slice(0, index), text.slice(index + at.length).trim()];
}

function unescapeOctal(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );
}
