import type { Snapshot, VolumeDescription } from '../../src/model/snapshot.ts';
import {
  openRepository,
  initRepository,
  type Repository,
  type SaveResult,
} from '../../src/repository/index.ts';
import { makeKeyCheap } from './cheap-key.ts';
import { resticPassword } from './restic-command.ts';

const password = async (): Promise<Uint8Array> => Buffer.from(resticPassword);

export async function initTestRepository(location: string): Promise<Repository> {
  {
    await using _made = await initRepository({ location, password });
  }
  await makeKeyCheap(location, { password: resticPassword });
  return await openTestRepository(location);
}

export function openTestRepository(location: string): Promise<Repository> {
  return openRepository({ location, password });
}

/** A volume as a host would describe it. */
export function describeTestVolume(name: string): VolumeDescription {
  return {
    kind: 'volume',
    name,
    identity: `identity-of-${name}`,
    host: { kind: 'embedded', identity: 'test-host', name: 'test-host' },
    driver: 'local',
    options: {},
    labels: { 'com.example.role': 'test' },
    anonymous: false,
    consumers: [],
  };
}

/** Saves a directory as the volume `name`, against the newest snapshot. */
export async function saveDirectory(
  repository: Repository,
  root: string,
  options: { readonly name?: string; readonly parent?: Snapshot | undefined; readonly dryRun?: boolean } = {},
): Promise<SaveResult> {
  const parent = 'parent' in options ? options.parent : (await repository.listSnapshots()).at(-1);
  return await repository.save({
    source: { kind: 'directory', root: Buffer.from(root).toString('latin1') },
    volume: describeTestVolume(options.name ?? 'data'),
    parent,
    tags: [],
    hostname: 'test-host',
    timeMs: Date.now(),
    grade: 'cold',
    excludePatterns: [],
    dryRun: options.dryRun,
  });
}

export async function newestSnapshot(repository: Repository): Promise<Snapshot> {
  const snapshot = (await repository.listSnapshots()).at(-1);
  if (!snapshot) throw new Error('The repository has no snapshot');
  return snapshot;
}
