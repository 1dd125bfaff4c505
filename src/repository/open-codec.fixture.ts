import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openCompressor } from './crypto/compression.ts';
import { newMasterKey } from './crypto/key-file.ts';
import { type MasterKey, Sealer } from './crypto/seal.ts';
import { newConfig, type RepositoryConfig, saveConfig } from './format/config-file.ts';
import type { FileCodec } from './format/repository-file.ts';
import { openLocalStore } from './stores/local.ts';

export interface TestCodec extends AsyncDisposable {
  readonly codec: FileCodec;
  readonly location: string;
  readonly masterKey: MasterKey;
  readonly config: RepositoryConfig;
}

/** The files of an empty repository, without a password to wait for. */
export async function openTestCodec(): Promise<TestCodec> {
  const location = mkdtempSync(join(tmpdir(), 'codec-'));
  const store = openLocalStore(location);
  const masterKey = newMasterKey();
  const sealer = new Sealer(masterKey);
  const config = newConfig();
  await store.create();
  await saveConfig(store, sealer, config);
  return {
    codec: { store, sealer, compressor: openCompressor() },
    location,
    masterKey,
    config,
    async [Symbol.asyncDispose]() {
      rmSync(location, { recursive: true });
    },
  };
}
