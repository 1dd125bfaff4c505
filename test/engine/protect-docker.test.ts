import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { DirectoryHandle } from '../../src/lib/directory-handle.ts';
import { removeTree } from '../../src/lib/remove-tree.ts';
import { fromText, toPath } from '../../src/model/byte-string.ts';
import { makeHostileTree } from '../support/hostile-tree.ts';
import { onEngine } from '../support/on-engine.ts';
import { treeFacts } from '../support/tree-facts.ts';

const on = onEngine();

const throughEngine = { env: { HOLDFAST_DATA_WAY: 'stream' } };

const run = async (...args: string[]): Promise<string> => (await on.run(args)).stdout;

const streamed = async (...args: string[]): Promise<string> => (await on.run(args, throughEngine)).stdout;

/** Starts a container that uses a volume or path. */
async function container(name: string, mount: string): Promise<void> {
  await on.engine.docker(['run', '-d', '--name', name, '-v', mount, 'busybox', 'sleep', '1000']);
}

describe('on a Docker Engine', () => {
  test('volume ls shows stacks and consumers, and rm names the holders of a volume', async () => {
    await on.engine.docker(['volume', 'create', '--label', 'com.docker.compose.project=shop', 'shop_pg']);
    await container('shop-db-1', 'shop_pg:/data');
    expect(await run('volume', 'ls', '-f', 'name=shop_pg')).toMatch(
      /\nshop_pg +local +shop +shop-db-1 +(just now|\d+ second)/,
    );
    const refused = await on.attempt(['volume', 'rm', 'shop_pg']);
    expect(refused.exit).toBe(5);
    expect(refused.stderr).toContain('"shop-db-1"');
    await on.engine.docker(['rm', '-f', 'shop-db-1']);
  });

  test('a removed volume comes back with its data, driver, options and labels', async () => {
    const device = join(on.engine.folder, 'device');
    mkdirSync(device);
    const labels = [
      '--label',
      'com.docker.compose.project=shop',
      '--label',
      'com.docker.compose.volume=pg',
      '--label',
      'mine=yes',
    ];
    const options = ['-o', 'type=none', '-o', 'o=bind', '-o', `device=${device}`];
    await on.engine.docker(['volume', 'create', ...labels, ...options, 'bound']);
    await on.engine.docker(['volume', 'create', ...labels, 'plain']);
    await makeHostileTree(on.engine.volumePath('plain'));
    const before = treeFacts(on.engine.volumePath('plain'));
    writeFileSync(join(device, 'f'), 'on the device');
    await run('backup', 'plain', 'bound');
    const inspected = await on.engine.docker([
      'volume',
      'inspect',
      '-f',
      '{{json .Labels}} {{json .Options}}',
      'plain',
      'bound',
    ]);
    await on.engine.docker(['volume', 'rm', 'plain', 'bound']);
    await run('restore', 'plain');
    expect(treeFacts(on.engine.volumePath('plain'))).toEqual(before);
    // Docker leaves the data on the device, and a restore does not mix with it.
    const unasked = await on.attempt(['restore', 'bound']);
    expect(unasked.exit).toBe(1);
    expect(unasked.stderr).toContain(`device=${device}`);
    const onData = await on.attempt(['restore', 'bound', '--as-recorded']);
    expect(onData.exit).toBe(1);
    expect(onData.stderr).toMatch(/holds data/);
    expect(readFileSync(join(device, 'f'), 'utf8')).toBe('on the device');
    expect((await run('volume', 'ls', '-q')).split('\n')).not.toContain('bound');
    const { rmSync } = await import('node:fs');
    rmSync(join(device, 'f'));
    await run('restore', 'bound', '--as-recorded');
    expect(readFileSync(join(device, 'f'), 'utf8')).toBe('on the device');
    expect(
      await on.engine.docker([
        'volume',
        'inspect',
        '-f',
        '{{json .Labels}} {{json .Options}}',
        'plain',
        'bound',
      ]),
    ).toBe(inspected.replace('null', '{}'));
  });

  test('the grade says whether a container could write', async () => {
    await container('writer', 'live:/data');
    await on.engine.docker(['exec', 'writer', 'sh', '-c', 'echo one > /data/f']);
    interface Report {
      outcomes: { grade: string; gradeReason: string }[];
    }
    const live = JSON.parse(
      await run('backup', 'live', '--consistency', 'live', '--format', 'json'),
    ) as Report;
    expect(live.outcomes[0]).toMatchObject({
      grade: 'torn',
      gradeReason: expect.stringContaining('"writer"'),
    });
    await on.engine.docker(['stop', '-t', '0', 'writer']);
    const cold = JSON.parse(await run('backup', 'live', '--format', 'json')) as Report;
    expect(cold.outcomes[0]).toMatchObject({ grade: 'cold' });
    await on.engine.docker(['rm', '-f', 'writer']);
  });

  test('a stack is backed up by its name', async () => {
    await on.engine.docker(['volume', 'create', '--label', 'com.docker.compose.project=blog', 'blog_db']);
    await on.engine.docker([
      'volume',
      'create',
      '--label',
      'com.docker.compose.project=blog',
      '--label',
      'holdfast.backup=false',
      'blog_tmp',
    ]);
    const result = await on.attempt(['backup', '--stack', 'blog', '-q']);
    expect(result).toMatchObject({ exit: 0 });
    expect(JSON.parse(await run('snapshots', '--stack', 'blog', '--format', 'json'))).toHaveLength(1);
  });
});

/** The engine's streams lose these; times are requested separately. */
const keptByStreams = { without: ['xattrs', 'holes'] } as const;

describe('through the engine only', () => {
  test('a volume is backed up, and recreated when it is gone', async () => {
    await on.engine.docker(['volume', 'create', 'far']);
    await makeHostileTree(on.engine.volumePath('far'));
    // The engine turns times before 1970 into 1970.
    for (const name of ['plain.txt', 'empty'])
      execFileSync('touch', [
        '-d',
        '2005-05-05T05:05:05.555555555Z',
        join(on.engine.volumePath('far'), name),
      ]);
    const before = treeFacts(on.engine.volumePath('far'), keptByStreams);
    const shown = await streamed('backup', 'far');
    expect(shown).toContain('read through the engine: extended attributes');
    await on.engine.docker(['volume', 'rm', 'far']);
    await streamed('restore', 'far');
    expect(treeFacts(on.engine.volumePath('far'), keptByStreams)).toEqual(before);
  });

  test('a path of more than 4,096 bytes is left out and named, and everything else comes back', async () => {
    const folder = join(on.engine.folder, 'long');
    mkdirSync(folder);
    writeFileSync(join(folder, 'short'), 'comes back');
    const name = 'n'.repeat(250);
    let handle = DirectoryHandle.open(fromText(folder));
    for (let depth = 0; depth < 17; depth++) {
      using above = handle;
      mkdirSync(toPath(above.at(name)));
      handle = above.openChild(name);
    }
    writeFileSync(toPath(handle.at('deep')), 'stays away');
    handle[Symbol.dispose]();
    try {
      await run('backup', folder);
      const restored = await on.attempt(['restore', folder, '--to', 'long'], throughEngine);
      expect(restored.exit).toBe(3);
      expect(restored.stderr).toContain('has a path that is too long for the engine');
      const volume = on.engine.volumePath('long');
      expect(readFileSync(join(volume, 'short'), 'utf8')).toBe('comes back');
      expect(existsSync(join(volume, ...Array.from({ length: 14 }, () => name)))).toBe(true);
    } finally {
      await removeTree(fromText(folder));
    }
  });

  test('a volume is replaced as a whole when no container refers to it, and refused otherwise', async () => {
    await on.engine.docker(['volume', 'create', '--label', 'kept=yes', 'far2']);
    const root = on.engine.volumePath('far2');
    writeFileSync(join(root, 'a'), 'saved');
    chmodSync(root, 0o750);
    await streamed('backup', 'far2');
    writeFileSync(join(root, 'a'), 'changed');
    writeFileSync(join(root, 'extra'), 'extra');
    await container('busy', 'far2:/data');
    const inUse = await on.attempt(['restore', 'far2', '--yes'], throughEngine);
    expect(inUse.exit).toBe(5);
    expect(inUse.stderr).toMatch(/Cannot restore "far2": it is in use by "busy" \(running\)/);
    await on.engine.docker(['rm', '-f', 'busy']);
    await on.engine.docker(['create', '--name', 'idle', '-v', 'far2:/data', 'busybox', 'true']);
    const refused = await on.attempt(['restore', 'far2', '--yes'], throughEngine);
    expect(refused.exit).toBe(1);
    expect(refused.stderr).toMatch(/--to far2-restored/);
    expect(readFileSync(join(root, 'a'), 'utf8')).toBe('changed');
    await on.engine.docker(['rm', 'idle']);
    await streamed('restore', 'far2', '--yes');
    expect([readFileSync(join(root, 'a'), 'utf8'), existsSync(join(root, 'extra'))]).toEqual([
      'saved',
      false,
    ]);
    expect(await on.engine.docker(['volume', 'inspect', '-f', '{{.Labels.kept}}', 'far2'])).toBe('yes');
    expect(await streamed('diff', 'far2')).toBe('No differences.\n');
    const safety = JSON.parse(
      await run('snapshots', 'far2', '--tag', 'before-restore', '--format', 'json'),
    ) as object[];
    expect(safety).toHaveLength(1);
  });

  test('a volume is not measured through the engine, and what that needs is said', async () => {
    await on.engine.docker(['volume', 'create', 'far4']);
    const refused = await on.attempt(['bench', 'far4', '--quick', '--profile', 'files'], throughEngine);
    expect(refused.exit).toBe(1);
    expect(refused.stderr).toContain('Cannot measure "far4" through its engine');
    expect(refused.stderr).toContain('run it on the machine where the engine runs');
  });

  test('one file goes back to where it came from', async () => {
    await on.engine.docker(['volume', 'create', 'far3']);
    const root = on.engine.volumePath('far3');
    mkdirSync(join(root, 'sub'));
    writeFileSync(join(root, 'sub/f'), 'saved');
    await streamed('backup', 'far3');
    writeFileSync(join(root, 'sub/f'), 'changed');
    writeFileSync(join(root, 'sub/other'), 'kept');
    await streamed('restore', 'far3', '--path', 'sub/f', '--yes');
    expect([
      readFileSync(join(root, 'sub/f'), 'utf8'),
      readFileSync(join(root, 'sub/other'), 'utf8'),
    ]).toEqual(['saved', 'kept']);
  });
});
