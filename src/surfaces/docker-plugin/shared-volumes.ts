import type { ManagedVolume } from '../../app/app.ts';
import { AppError, isAppError } from '../../model/errors.ts';
import { quote } from '../../model/quote.ts';
import { isSharedKind, storageKind } from '../../model/storage-kind.ts';
import { refuseCommands } from '../refuse-commands.ts';
import type { PluginVolumes } from './answer-plugin.ts';
import type { SharedRecord, SharedRecords } from './shared-records.ts';

type Call = Parameters<PluginVolumes['create']>[1];

/**
 * The volumes that several hosts share, as one of these hosts serves them: only those of the shared records.
 * A volume that another host has made is made here too, with the same options, at its first mount. Removing
 * one removes its record for all hosts; the data lies elsewhere and stays.
 */
export function sharedVolumes(volumes: PluginVolumes, records: SharedRecords): PluginVolumes {
  const find = async (name: string): Promise<ManagedVolume | undefined> => {
    let record: SharedRecord | undefined;
    try {
      record = await records.find(name);
    } catch (error) {
      const here = await volumes.find(name);
      // The holds of containers are known without the records, and must be released when they stop.
      if (here === undefined || here.mountIds.length === 0 || !isShareable(here)) throw error;
      return { ...here, scope: 'global' };
    }
    return record && describe(record, await volumes.find(name));
  };
  return {
    find,
    async list() {
      const own = new Map((await volumes.list()).map((volume) => [volume.name, volume]));
      return (await records.list()).map((record) => describe(record, own.get(record.name)));
    },
    async create(spec, options) {
      const name = spec.name ?? '';
      refuseOthers(spec, `create volume ${quote(name)}`);
      const known = await records.find(name);
      if (known !== undefined) {
        await makeHere(volumes, known, options);
        return describe(known, await volumes.create(spec, options));
      }
      const made = await makeHere(volumes, { name, options: spec.options }, options);
      const record = { name, options: made.options, createdAt: made.createdAt ?? new Date().toISOString() };
      try {
        await records.add(record);
        return describe(record, made);
      } catch (error) {
        if (!isAppError(error, 'exists')) throw error;
        // Another host was faster: its record is the volume.
        const other = await records.find(name);
        if (other === undefined) throw error;
        await makeHere(volumes, other, options);
        return describe(other, await volumes.create(spec, options));
      }
    },
    async mount(name, id, options) {
      const record = await records.find(name);
      if (record === undefined) throw new AppError('not-found', `no such volume: ${name}`);
      refuseCommands(record.options, `mount volume ${quote(name)}`);
      refuseOthers({ driver: 'local', options: record.options }, `mount volume ${quote(name)}`);
      await makeHere(volumes, record, options);
      return await volumes.mount(name, id, options);
    },
    async remove(name, options) {
      const here = await volumes.find(name);
      // Held or protected here, it stays for all. One with this host's data is another volume.
      if (here !== undefined && isShareable(here)) await volumes.remove(name, options);
      await records.remove(name);
    },
    unmount: (name, id, options) => volumes.unmount(name, id, options),
    async label(name, labels, options) {
      if ((await volumes.find(name)) !== undefined) return await volumes.label(name, labels, options);
      const volume = await find(name);
      if (volume === undefined) throw new AppError('not-found', `no such volume: ${name}`);
      return volume;
    },
    health: (name) => volumes.health(name),
    lastHealth: (name) => volumes.lastHealth(name),
    reconcile: (options) => volumes.reconcile(options),
  };
}

/** This host's volume, with the shared options. An earlier one with other options is only a record here. */
async function makeHere(
  volumes: PluginVolumes,
  { name, options }: Pick<SharedRecord, 'name' | 'options'>,
  call: Call,
): Promise<ManagedVolume> {
  const here = await volumes.find(name);
  // Left by an earlier volume of that name: its data lies elsewhere. Throws while it is mounted here.
  if (here !== undefined && isShareable(here) && !isSame(here.options, options))
    await volumes.remove(name, call);
  return await volumes.create({ name, driver: 'local', options, labels: {} }, call);
}

function describe(record: SharedRecord, here: ManagedVolume | undefined): ManagedVolume {
  const { name, options, createdAt } = record;
  if (here !== undefined && isSame(here.options, options)) return { ...here, createdAt, scope: 'global' };
  return {
    name,
    driver: 'local',
    kind: storageKind({ driver: 'local', options }),
    mountpoint: '',
    createdAt,
    labels: {},
    options,
    scope: 'global',
    anonymous: false,
    stack: undefined,
    consumers: [],
    isProtected: false,
    mountIds: [],
    isMounted: false,
  };
}

function refuseOthers({ driver, options }: Pick<ManagedVolume, 'driver' | 'options'>, action: string): void {
  const kind = storageKind({ driver, options });
  if (isShareable({ kind })) return;
  throw new AppError(
    'unsupported',
    `Cannot ${action}: storage of the kind ${quote(kind)} is this host's alone`,
    {
      hint: 'Shared volumes are of the types nfs, cifs and rclone, or folders that all hosts have (type=none, o=bind).',
    },
  );
}

function isShareable({ kind }: Pick<ManagedVolume, 'kind'>): boolean {
  return isSharedKind(kind) || kind === 'bind';
}

function isSame(one: ManagedVolume['options'], other: ManagedVolume['options']): boolean {
  const keys = Object.keys(one);
  return keys.length === Object.keys(other).length && keys.every((key) => one[key] === other[key]);
}
