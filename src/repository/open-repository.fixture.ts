import type { Snapshot, VolumeDescription } from '../model/snapshot.ts';
import type { FileCodec } from './format/repository-file.ts';
import { openTestCodec, type TestCodec } from './open-codec.fixture.ts';
import { ResticRepository } from './restic-repository.ts';
import type { Repository, SaveOptions, SaveResult, SnapshotEntry } from './types.ts';

export interface TestRepository extends AsyncDisposable {
  readonly repository: Repository;
  readonly location: string;
  readonly codec: FileCodec;
  /** Saves as the volume `data`, without a parent unless `more` has one. */
  save(source: SaveOptions['source'] | string, more?: Partial<SaveOptions>): Promise<SaveResult>;
  /** Everything that a snapshot holds. */
  walk(snapshot: Snapshot | undefined): Promise<SnapshotEntry[]>;
}

/** An empty repository in a temporary folder. */
export async function openFreshRepository(): Promise<TestRepository> {
  return repositoryOf(await openTestCodec());
}

function repositoryOf(parts: TestCodec): TestRepository {
  const { codec, location, masterKey, config } = parts;
  const address = { kind: 'local', directory: location } as const;
  const repository = new ResticRepository({ codec, address, masterKey, config });
  return {
    repository,
    location,
    codec,
    async save(source, more = {}) {
      return await repository.save({
        source: typeof source === 'string' ? { kind: 'directory', root: source } : source,
        volume: testVolume,
        tags: [],
        hostname: 'test-host',
        timeMs: Date.now(),
        grade: 'cold',
        excludePatterns: [],
        ...more,
      });
    },
    async walk(snapshot) {
      if (!snapshot) throw new Error('There is no snapshot');
      return await allOf(repository.walk(snapshot, ''));
    },
    async [Symbol.asyncDispose]() {
      await repository[Symbol.asyncDispose]();
      await parts[Symbol.asyncDispose]();
    },
  };
}

export const testVolume: VolumeDescription = {
  kind: 'volume',
  name: 'data',
  identity: 'identity-of-data',
  host: { kind: 'embedded', identity: 'test-host', name: 'test-host' },
  driver: 'local',
  options: {},
  labels: { 'com.example.role': 'test' },
  anonymous: false,
  consumers: [],
};

export async function allOf<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
}
