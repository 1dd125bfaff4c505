import { randomUUID } from 'node:crypto';
import type { Catalog, EmbeddedVolumeRecord } from '../../catalog/catalog.ts';

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
    forgetVolumeIdentity: nothing,
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
    listEmbeddedVolumes: () => [...volumes.values()],
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
