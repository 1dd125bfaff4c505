import type { Store, StoreOptions } from '../stores/store.ts';
import type { FinishedPack } from './pack-writer.ts';

/** Stores a finished pack. A store that keeps copies at hand is told when it is one of trees. */
export async function storePack(store: Store, pack: FinishedPack, options?: StoreOptions): Promise<void> {
  if (!Buffer.isBuffer(pack.content)) return await pack.content.finish(pack.id);
  const holds = pack.blobs[0]?.type === 'tree' ? 'trees' : undefined;
  await store.save('data', pack.id, pack.content, { ...options, holds });
}
