import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Protection } from '../activity/protection.ts';
import { memoryContainers } from '../hosts/containers.fixture.ts';
import { openStreamedWorld } from '../restore/streamed-world.fixture.ts';
import { backup } from './backup.ts';

test('a dry run of a backup reads none of the files that containers need', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'still-'));
  try {
    await using world = await openStreamedWorld();
    const [file, root] = [join(folder, 'app.conf'), join(folder, 'data')];
    mkdirSync(root);
    writeFileSync(file, 'x');
    const containers = memoryContainers();
    containers.add({
      name: 'app',
      state: 'exited',
      mounts: [
        { type: 'volume', source: 'far', destination: '/data', readOnly: false },
        { type: 'bind', source: file, destination: '/app.conf', readOnly: true },
      ],
    });
    const parts: Protection = {
      ...world.parts,
      host: async () => ({
        ...world.engine.asHost(),
        containers,
        openData: async () => ({ way: 'direct', root, [Symbol.asyncDispose]: async () => undefined }),
      }),
    };
    const { repository } = world.opened;
    const saveTogether = repository.saveTogether.bind(repository);
    const read: unknown[] = [];
    repository.saveTogether = async (saves, moment) => {
      read.push(...saves.map(({ config }) => config?.record.saved));
      return await saveTogether(saves, moment);
    };
    for (const dryRun of [true, false]) {
      const request = { targets: ['far'], all: false, stacks: [], tags: [], excludes: [], dryRun };
      await backup(parts, request, {});
    }
    expect(read).toEqual([undefined, [file]]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
