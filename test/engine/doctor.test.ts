import { chmodSync, chownSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { onEngine } from '../support/on-engine.ts';

const on = onEngine({ host: 'docker' });

interface Found {
  readonly healthy: boolean;
  readonly findings: readonly {
    readonly id: string;
    readonly subject: { readonly kind: string; readonly name: string };
    readonly message: string;
    readonly evidence: readonly string[];
    readonly commands: readonly (readonly string[])[];
    readonly fixable: boolean;
  }[];
  readonly notLookedAt: readonly { readonly subject: string; readonly reason: string }[];
}

/** What the doctor says, with its exit number held to it. */
async function examine(...args: string[]): Promise<Found> {
  const { exit, stdout, stderr } = await on.attempt(['doctor', ...args, '--format', 'json']);
  const found = JSON.parse(stdout) as Found;
  expect(exit, stderr).toBe(found.findings.length === 0 ? 0 : 1);
  return found;
}

async function findings(...args: string[]): Promise<Found['findings']> {
  return (await examine(...args)).findings;
}

/** Starts a container that waits. */
async function start(name: string, ...options: string[]): Promise<void> {
  await on.engine.docker(['run', '-d', '--name', name, ...options, 'busybox', 'sleep', '10000']);
}

async function inside(name: string, ...command: string[]): Promise<string> {
  return await on.engine.docker(['exec', name, ...command]);
}

async function remove(...names: string[]): Promise<void> {
  await on.engine.docker(['rm', '-f', ...names]);
}

describe('a container that runs as a user', () => {
  test('and whose volume belongs to root gets the exact change, and writes after it', async () => {
    await start('denied', '--user', '1000:1001', '-v', 'of-root:/data');
    await expect(inside('denied', 'touch', '/data/file')).rejects.toThrow('Permission denied');
    const [found, ...others] = await findings('denied');
    expect(others).toEqual([]);
    expect(found).toMatchObject({
      id: 'HF-D001',
      subject: { kind: 'container', name: 'denied' },
      commands: [['chown', '-R', '--from=0', '1000:1001', on.engine.volumePath('of-root')]],
      fixable: true,
    });
    expect(found?.message).toBe(
      '"denied" cannot write to "/data": it runs as user 1000, group 1001, and "/data" belongs to user 0 (root), group 0 with mode 0755',
    );
    expect((await on.attempt(['doctor', 'denied', '--fix'])).exit).toBe(2);
    expect(await findings('denied')).toHaveLength(1);
    expect((await on.attempt(['doctor', 'denied', '--fix', '--yes'])).exit).toBe(0);
    await inside('denied', 'touch', '/data/file');
    expect(await findings()).toEqual([]);
    await remove('denied');
  });

  test('is told of a folder on the way that is its own and closed, by its path too', async () => {
    const source = join(on.engine.folder, 'site');
    mkdirSync(join(source, 'private/deep'), { recursive: true });
    writeFileSync(join(source, 'private/deep/page'), 'content');
    for (const path of ['', 'private', 'private/deep', 'private/deep/page'])
      chownSync(join(source, path), 1000, 1000);
    chmodSync(join(source, 'private'), 0o200);
    await start('closed', '--user', '1000:1000', '-v', `${source}:/srv/site`);
    await expect(inside('closed', 'cat', '/srv/site/private/deep/page')).rejects.toThrow('Permission denied');
    const [found] = await findings(join(source, 'private/deep/page'));
    expect(found?.message).toContain('"closed" cannot enter "/srv/site/private"');
    expect(found?.commands).toEqual([['chmod', 'u+x', join(source, 'private')]]);
    expect((await on.attempt(['doctor', join(source, 'private/deep/page'), '--fix', '--yes'])).exit).toBe(0);
    expect(await inside('closed', 'cat', '/srv/site/private/deep/page')).toBe('content');
    await remove('closed');
  });

  test('is told of files below its volume that were left to root, and no link is followed by the fix', async () => {
    await start('below', '--user', '1000:1000', '-v', 'below:/data');
    const data = on.engine.volumePath('below');
    const outside = join(on.engine.folder, 'outside');
    writeFileSync(outside, 'root alone', { mode: 0o600 });
    chownSync(data, 1000, 1000);
    await on.engine.docker([
      'exec',
      '-u',
      '0',
      'below',
      'sh',
      '-c',
      'echo secret > /data/key; chmod 600 /data/key',
    ]);
    await inside('below', 'ln', '-s', outside, '/data/planted');
    const [found] = await findings('below');
    expect(found?.message).toContain('cannot read and write to "/data/key"');
    expect((await on.attempt(['doctor', 'below', '--fix', '--yes'])).exit).toBe(0);
    expect(await inside('below', 'cat', '/data/key')).toBe('secret');
    expect(statSync(outside).uid).toBe(0);
    await remove('below');
  });

  test('and a folder of its image that is closed is no matter of the volume', async () => {
    await start('image', '--user', '1000:1000', '-v', 'image:/tmp/private/data');
    await on.engine.docker(['exec', '-u', '0', 'image', 'chmod', '700', '/tmp/private']);
    chownSync(on.engine.volumePath('image'), 1000, 1000);
    const [found] = await findings('image');
    expect(found?.message).toContain('"image" cannot enter "/tmp/private"');
    expect(found).toMatchObject({ fixable: false });
    const [[, ...command] = []] = found?.commands ?? [];
    await on.engine.docker(command);
    await inside('image', 'touch', '/tmp/private/data/file');
    expect(await findings('image')).toEqual([]);
    await remove('image');
  });
});

test('what is healthy is left alone', async () => {
  const config = join(on.engine.folder, 'config');
  writeFileSync(config, 'setting', { mode: 0o644 });
  await start('as-root', '-v', 'healthy:/data', '-v', `${config}:/etc/config`);
  await start('reader', '--user', '1000', '-v', 'healthy:/data:ro', '-v', `${config}:/etc/config`);
  expect(await examine()).toMatchObject({ healthy: true, findings: [], notLookedAt: [] });
  expect((await on.run(['doctor', 'as-root'])).stdout).toBe('Healthy: 1 container, 1 volume, 2 mounts.\n');
  await remove('as-root', 'reader');
});

test('a name that nothing has is not found', async () => {
  expect((await on.attempt(['doctor', 'nothing'])).exit).toBe(4);
});
