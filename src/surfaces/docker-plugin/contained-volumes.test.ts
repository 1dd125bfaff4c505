import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type DirectoryVolumes, directoryVolumes } from '../../../test/support/directory-volumes.ts';
import { containedVolumes } from './contained-volumes.ts';

let folder: string;
let volumes: DirectoryVolumes;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'contained-'));
  volumes = directoryVolumes(folder);
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const spec = (options: Record<string, string>) => ({ name: 'pg', driver: 'local', labels: {}, options });
const prepared = async (): Promise<void> => void volumes.calls.push('prepare');

describe('volumes of a managed plugin', () => {
  test.each([
    [{ type: 'none', o: 'bind', device: '/srv/data' }, '"/srv/data"'],
    [{ type: 'ext4', device: '/srv/image' }, '"/srv/image"'],
    [{ type: 'luks', device: '/dev/../srv/image', format: 'true' }, '"/dev/../srv/image"'],
    [{ type: 'rclone', device: 's3:bucket' }, '"rclone"'],
    [{ type: 'gocryptfs' }, '"gocryptfs"'],
  ])('are not made of what a container has not: %j', async (options, word) => {
    const contained = containedVolumes(volumes, prepared);
    const refused = contained.create(spec(options));
    await expect(refused).rejects.toMatchObject({ code: 'unsupported' });
    await expect(refused).rejects.toThrow(word);
    expect(await volumes.list()).toEqual([]);
  });

  test('are not mounted either when another program has made them so', async () => {
    await volumes.create(spec({ type: 'none', o: 'bind', device: '/srv/data' }));
    await expect(containedVolumes(volumes, prepared).mount('pg', 'one')).rejects.toThrow('"/srv/data"');
    expect(volumes.calls).toEqual([]);
  });

  test.each([{}, { size: '1g' }, { type: 'tmpfs' }, { type: 'ext4', device: '/dev/sdb1' }])(
    'of %j are made and mounted once all is prepared',
    async (options) => {
      const contained = containedVolumes(volumes, prepared);
      await contained.create(spec(options));
      await contained.mount('pg', 'one');
      expect(volumes.calls).toEqual(['prepare', 'prepare', 'mount pg one']);
    },
  );

  test('are neither made nor mounted when that fails', async () => {
    const contained = containedVolumes(volumes, async () => {
      throw new Error('the state folder is not shown');
    });
    await expect(contained.create(spec({}))).rejects.toThrow('not shown');
    expect(await volumes.list()).toEqual([]);
  });
});
