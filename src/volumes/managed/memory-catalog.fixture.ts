import { randomUUID } from 'node:crypto';
import type {
  Catalog,
  EmbeddedVolumeRecord,
  UnsettledMemory,
  UnsettledVolume,
  VolumeHold,
  VolumeMemory,
} from '../../catalog/catalog.ts';

/** A catalog that remembers embedded volumes, for tests of the host alone. */
export function memoryCatalog(): Catalog {
  const id = randomUUID();
  const volumes = new Map<string, EmbeddedVolumeRecord>();
  const nothing = (): undefined => undefined;
  return {
    stateId: () => id,
    listRepositories: () => [],
    saveRepository: nothing,
    removeRepository: nothing,
    volumeIdentity: nothing,
    setVolumeIdentity: nothing,
    moveVolumeIdentity: nothing,
    takeOverLineage: nothing,
    listTakenOver: () => [],
    continueLineage: nothing,
    continuedLineage: nothing,
    listVerifiedSnapshots: () => [],
    setVerifiedSnapshots: nothing,
    noteVerifiedSnapshots: nothing,
    renameVerifiedSnapshot: nothing,
    recordRun: nothing,
    listRuns: () => [],
    logAnchor: nothing,
    setLogAnchor: nothing,
    unwrittenLog: nothing,
    noteUnwrittenLog: nothing,
    findNotice: nothing,
    saveNotice: nothing,
    removeNotice: nothing,
    essentials: {
      read: () => {
        throw new Error('It is not kept');
      },
      restore: () => false,
      isFresh: () => volumes.size === 0,
      hasWritten: () => false,
    },
    policies: {
      beginRun: () => 0,
      endRun: nothing,
      listRuns: () => [],
      listCursors: () => [],
      saveCursors: nothing,
      recordAnomaly: nothing,
      listOpenAnomalies: () => [],
      acceptAnomalies: nothing,
      noteForgotten: nothing,
      listForgotten: () => [],
      clearForgotten: nothing,
    },
    volumes: volumeMemory(volumes),
    unsettled: unsettledMemory(volumes),
    listEmbeddedVolumes: () =>
      [...volumes.values()].toSorted((left, right) => (left.name < right.name ? -1 : 1)),
    findEmbeddedVolume: (name) => volumes.get(name),
    addEmbeddedVolume(record) {
      if (volumes.has(record.name)) return false;
      volumes.set(record.name, record);
      return true;
    },
    removeEmbeddedVolume: (name) => void volumes.delete(name),
    [Symbol.dispose]: nothing,
  };
}

function unsettledMemory(volumes: Map<string, EmbeddedVolumeRecord>): UnsettledMemory {
  const made = new Map<string, UnsettledVolume>();
  const removals = new Map<string, ReturnType<UnsettledMemory['listRemovals']>[number]>();
  const list = (): UnsettledVolume[] => [...made.values()].filter(({ name }) => volumes.has(name));
  const add = (record: EmbeddedVolumeRecord, boot: string): boolean => {
    if (volumes.has(record.name)) return false;
    volumes.set(record.name, record);
    made.set(record.name, { name: record.name, boot, token: randomUUID() });
    return true;
  };
  return {
    add,
    list,
    find: (name) => list().find((one) => one.name === name),
    settle: (some) => some.forEach(({ name, token }) => made.get(name)?.token === token && made.delete(name)),
    removeMissing({ name, createdAt }, boot) {
      const madeIn = made.get(name)?.boot;
      if ((madeIn !== undefined && madeIn !== boot) || volumes.get(name)?.createdAt !== createdAt) return;
      volumes.delete(name);
      made.delete(name);
    },
    sync: () => undefined,
    beginRemoval(removal) {
      if (!volumes.delete(removal.name)) return false;
      removals.set(removal.entry, { ...removal, madeIn: made.get(removal.name)?.boot });
      return made.delete(removal.name) || true;
    },
    cancelRemoval(entry, record) {
      const removal = removals.get(entry);
      if (removal?.madeIn !== undefined) add(record, removal.madeIn);
      else if (removal !== undefined) volumes.set(record.name, record);
      removals.delete(entry);
    },
    listRemovals: (name) =>
      [...removals.values()]
        .filter((one) => one.name === (name ?? one.name))
        .toSorted((left, right) => (left.entry < right.entry ? -1 : 1)),
    endRemovals: (entries) => entries.forEach((entry) => removals.delete(entry)),
  };
}

function volumeMemory(volumes: Map<string, EmbeddedVolumeRecord>): VolumeMemory {
  let holds: VolumeHold[] = [];
  const guarded = new Set<string>();
  const renames = new Map<string, string>();
  return {
    update: (record) => void (volumes.has(record.name) && volumes.set(record.name, record)),
    listHolds: (volume) => holds.filter((hold) => volume === undefined || hold.volume === volume),
    hold(hold) {
      this.release(hold.volume, hold.id);
      holds.push(hold);
    },
    release: (volume, id) => void (holds = holds.filter((hold) => hold.volume !== volume || hold.id !== id)),
    isProtected: (host, name) => guarded.has(`${host}/${name}`),
    listProtected: (host) =>
      [...guarded].flatMap((key) => (key.startsWith(`${host}/`) ? [key.slice(host.length + 1)] : [])),
    setProtected: (host, name, isProtected) =>
      void (isProtected ? guarded.add(`${host}/${name}`) : guarded.delete(`${host}/${name}`)),
    beginRename(from, to) {
      if (volumes.has(to) || [...renames.values()].includes(to)) return false;
      renames.set(from, to);
      return true;
    },
    endRename(from, host) {
      const [to, record] = [renames.get(from), volumes.get(from)];
      renames.delete(from);
      if (to === undefined) return;
      if (record !== undefined) volumes.set(to, { ...record, name: to });
      volumes.delete(from);
      if (guarded.delete(`${host}/${from}`)) guarded.add(`${host}/${to}`);
    },
    cancelRename: (from) => void renames.delete(from),
    listRenames: () => [...renames].map(([from, to]) => ({ from, to })),
  };
}
