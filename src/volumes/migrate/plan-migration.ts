import type { ManagedVolume, ManagedVolumes } from '../managed/managed-volumes.ts';
import { walkTree } from '../../lib/tree-walk.ts';
import { fromText } from '../../model/byte-string.ts';
import { AppError } from '../../model/errors.ts';
import { quote } from '../../model/quote.ts';
import { storageKind } from '../../model/storage-kind.ts';
import type { VolumeScope } from '../../leases/index.ts';
import type { HostScope } from '../../hosts/host.ts';
import type { AuditLog, JobOptions } from '../../activity/index.ts';
import {
  decideMigration,
  type MigrationFacts,
  type MigrationPlan,
  type MigrationRequest,
  type MigrationSize,
} from './migration-plan.ts';
import { findKeptForUndo, findUsers } from './volume-users.ts';

export interface MigrationScope extends VolumeScope {
  readonly log: AuditLog;
  readonly managed: ManagedVolumes;
  /** Called with the lease: throws where a killed restore, through any of its hosts, has left the volume half. */
  readonly refuseHalfRestored: (hostIdentity: string, name: string) => Promise<void>;
  /** Makes an id for holds that end with this process. */
  readonly holdId: () => string;
}

/** Looks at a volume and its users; changes nothing. */
export async function planMigration(
  scope: MigrationScope,
  request: MigrationRequest,
  options: JobOptions,
): Promise<MigrationPlan> {
  const { managed } = scope;
  const target = await managed.checkMigration(request.name, request);
  const volume = await existing(managed, request.name);
  const seen = await factsOf(scope, volume, options);
  const size = await measure(scope, volume, options);
  return decideMigration({ ...seen, to: target, way: 'forth', backTo: undefined, size });
}

/** Like `planMigration`, back to the storage that it had before. */
export async function planMigrationBack(
  scope: MigrationScope,
  { name }: Pick<MigrationRequest, 'name'>,
  options: JobOptions,
): Promise<MigrationPlan> {
  const { managed } = scope;
  const kept = await managed.findMigrated(name);
  if (kept === undefined) {
    throw new AppError(
      'not-found',
      `Cannot move volume ${quote(name)} back: what it was before is not kept`,
      {
        hint: 'It is in the trash for a while after a migration: "holdfast trash ls".',
      },
    );
  }
  const seen = await factsOf(scope, await existing(managed, name), options);
  const to = { driver: kept.driver, options: kept.options, kind: storageKind(kept) };
  return decideMigration({ ...seen, to, way: 'back', backTo: kept.removedAt, size: undefined });
}

async function existing(managed: ManagedVolumes, name: string): Promise<ManagedVolume> {
  const volume = await managed.find(name);
  if (volume !== undefined) return volume;
  throw new AppError('not-found', `Cannot migrate volume ${quote(name)}: no such volume`, {
    hint: 'List what there is with "holdfast volume ls".',
  });
}

type Seen = Omit<MigrationFacts, 'to' | 'way' | 'backTo' | 'size'>;

async function factsOf(scope: HostScope, volume: ManagedVolume, options: JobOptions): Promise<Seen> {
  const { name, driver, kind, isProtected, mountIds: holds } = volume;
  const { stops, unstoppable, writers } = await findUsers(scope, volume, options);
  const from = { driver, kind, options: volume.options };
  const undoUntil = await findKeptForUndo(scope.stateDir, volume);
  return { name, from, isProtected, holds, stops, unstoppable, writers, undoUntil };
}

async function measure(
  { managed, holdId }: Pick<MigrationScope, 'managed' | 'holdId'>,
  { name }: ManagedVolume,
  { signal }: JobOptions,
): Promise<MigrationSize> {
  const id = holdId();
  const root = await managed.mount(name, id, { signal });
  try {
    const size = { files: 0, bytes: 0, allocatedBytes: 0 };
    for await (const { entry, allocatedBytes } of walkTree(fromText(root), { signal, statOnly: true })) {
      if (entry.hardLinkTo !== undefined) continue;
      size.allocatedBytes += allocatedBytes;
      size.bytes += entry.size;
      if (entry.type !== 'dir') size.files++;
    }
    return size;
  } finally {
    await managed.unmount(name, id);
  }
}
