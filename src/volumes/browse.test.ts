import { readFileSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { useEngine } from '../../test/fixtures/engine-under-test.ts';

describe.each(['direct', 'stream'] as const)('browse() and readFile() (%s)', (way) => {
  const t = useEngine(way);
  test('show what is there, through links that stay inside', async () => {
    const root = await t.create('v', { 'v1/data': 'content', 'v1/sub/deep': '', z: '' });
    symlinkSync('v1', join(root, 'current'));
    symlinkSync('current/data', join(root, 'link'));
    const top = await t.engine.browse({ volume: 'v', path: '' });
    expect(top.entries.map(({ name, type }) => [name, type])).toEqual([
      ['current', 'symlink'],
      ['link', 'symlink'],
      ['v1', 'dir'],
      ['z', 'file'],
    ]);
    const inside = await t.engine.browse({ volume: 'v', path: 'current' });
    expect(inside).toMatchObject({ path: 'v1', type: 'dir', problems: [] });
    expect(inside.entries.map(({ name, size }) => [name, size])).toEqual([
      ['data', 7],
      ['sub', 0],
    ]);
    const one = await t.engine.browse({ volume: 'v', path: 'v1/data' });
    expect(one).toMatchObject({ path: 'v1/data', type: 'file', entries: [{ name: 'data', size: 7 }] });
    await expect(t.engine.browse({ volume: 'v', path: 'nothing' })).rejects.toMatchObject({
      code: 'not-found',
    });
  });

  test('readFile() returns the bytes of a file, holes included, and nothing else', async () => {
    const root = await t.create('v', { 'd/a': 'content' });
    writeFileSync(join(root, 'sparse'), '');
    truncateSync(join(root, 'sparse'), 300_000);
    writeFileSync(join(root, 'sparse'), 'end', { flag: 'a' });
    expect((await read('d/a')).toString()).toBe('content');
    expect((await read('sparse')).equals(readFileSync(join(root, 'sparse')))).toBe(true);
    await expect(read('d')).rejects.toMatchObject({ code: 'usage' });
    await expect(read('none')).rejects.toMatchObject({ code: 'not-found' });
  });

  async function read(path: string): Promise<Buffer> {
    const chunks: Uint8Array[] = [];
    for await (const chunk of t.engine.readFile({ volume: 'v', path })) chunks.push(chunk);
    return Buffer.concat(chunks);
  }
});
