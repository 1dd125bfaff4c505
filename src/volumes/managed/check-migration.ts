import { realpath, statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { DriverKind } from '../../drivers/driver.ts';
import { ownershipOptions } from '../../lib/ownership.ts';
import { AppError } from '../../model/errors.ts';
import { quote } from '../../model/quote.ts';
import { parseSize } from '../../model/size.ts';
import { factsOfKind, kinds } from '../../model/storage-kind.ts';
import type { MigrationTarget, NewStorage, RoomUsage } from './managed-volumes.ts';
import { keptOptions } from './create-volume.ts';
import { type VolumeState, kindOf, requireRecord } from './volume-state.ts';

/** Gives back the storage as its driver keeps it. Throws what keeps the volume from moving there, in use or not. */
export async function checkMigration(
  state: VolumeState,
  name: string,
  request: NewStorage,
): Promise<MigrationTarget> {
  const record = requireRecord(state, { name, action: 'migrate' });
  const action = `Cannot migrate volume ${quote(name)}`;
  requireMovable(kindOf(record), `${action}: its data`);
  const driver = request.driver === '' || request.driver === 'holdfast' ? 'local' : request.driver;
  const options = await keptOptions(state, { name, driver, options: request.options }, 'migrate');
  const kind = kindOf({ driver, options });
  requireMovable(kind, `${action}: what lies on ${quote(kind)}`);
  const owner = ownershipOptions.find((key) => key in options);
  if (owner !== undefined) {
    throw new AppError('usage', `${action}: option ${quote(owner)} has no place here`, {
      hint: 'Owner, group and mode come along. Change them with "holdfast volume own".',
    });
  }
  if (sameStorage(record, { driver, options })) {
    throw new AppError('usage', `${action}: it is on ${quote(kind)} with these options already`);
  }
  await refuseSharedDevice(state, options, action);
  const size = options['size'];
  const sizeBytes = size === undefined ? undefined : parseSize(size);
  return { driver, options, kind, sizeBytes, disk: await diskOf(state, options) };
}

function requireMovable(kind: DriverKind, subject: string): void {
  if (factsOfKind(kind).isMovable) return;
  const why = kind === 'tmpfs' ? 'ends with its last use' : 'may be changed by others at any time';
  const movable = kinds.filter((one) => factsOfKind(one).isMovable);
  throw new AppError('unsupported', `${subject} ${why}`, {
    hint: `Migrations are between ${movable.join(', ')}. Copy it with "holdfast volume clone".`,
  });
}

function sameStorage(one: NewStorage, other: NewStorage): boolean {
  const form = (request: NewStorage): string => {
    const kind = kindOf(request);
    const options = Object.entries(request.options).filter(
      ([key, value]) =>
        !(ownershipOptions as readonly string[]).includes(key) && (key !== 'type' || value !== kind),
    );
    return JSON.stringify([kind, options.toSorted(([a], [b]) => (a < b ? -1 : 1))]);
  };
  return form(one) === form(other);
}

/** Mounting it twice would destroy a file system. */
async function refuseSharedDevice(
  { catalog }: VolumeState,
  options: NewStorage['options'],
  action: string,
): Promise<void> {
  const device = options['device'];
  if (device === undefined) return;
  const real = await realOrItself(device);
  for (const { name, options: others } of catalog.listManagedVolumes()) {
    if (others['device'] === undefined || (await realOrItself(others['device'])) !== real) continue;
    throw new AppError('conflict', `${action}: ${quote(device)} is that of the volume ${quote(name)}`, {
      hint: 'Choose another device or image.',
    });
  }
}

async function realOrItself(path: string): Promise<string> {
  return await realpath(path).catch(() => path);
}

/** Undefined for a device, which is a disk of its own. */
async function diskOf(
  { folders }: VolumeState,
  { device, pool }: NewStorage['options'],
): Promise<RoomUsage | undefined> {
  if (device?.startsWith('/dev/') === true) return undefined;
  const folder = pool ?? (device === undefined ? folders.trashDir : dirname(device));
  // A missing folder is for the driver to refuse.
  const found = await statfs(folder).catch(() => undefined);
  if (found === undefined) return undefined;
  const { bsize, blocks, bfree, bavail } = found;
  return { totalBytes: blocks * bsize, usedBytes: (blocks - bfree) * bsize, freeBytes: bavail * bsize };
}
