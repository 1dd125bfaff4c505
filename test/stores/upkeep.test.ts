import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type SshServer, startSshServer } from '../docker/ssh-server.ts';
import { type HoldfastCommand, holdfastCommand } from '../support/holdfast-command.ts';
import { treeFacts } from '../support/tree-facts.ts';
import { motoCredentials, type MotoServer, startMoto } from './moto-server.ts';
import { type RestServer, startRestServer } from './rest-server.ts';
import { type Place, withStore } from './with-store.ts';

let folder: string;
let moto: MotoServer;
let rest: RestServer;
let ssh: SshServer;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'upkeep-'));
  [moto, rest, ssh] = await Promise.all([
    startMoto(),
    startRestServer(),
    startSshServer(join(folder, 'ssh')),
  ]);
});
afterAll(async () => {
  for (const server of [moto, rest, ssh]) await server[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

const places: Readonly<Record<string, () => Place>> = {
  s3: () => ({
    location: `s3:${moto.endpoint}/upkeep/some/where`,
    env: {
      AWS_ACCESS_KEY_ID: motoCredentials.accessKeyId,
      AWS_SECRET_ACCESS_KEY: motoCredentials.secretAccessKey,
    },
  }),
  rest: () => ({ location: `rest:${rest.url}upkeep/` }),
  sftp: () => ({
    location: `sftp://127.0.0.1:${ssh.port}/${join(folder, 'by-sftp/repository')}`,
    env: { PATH: `${ssh.path}:${process.env['PATH'] ?? ''}` },
  }),
  rclone: () => ({ location: `rclone::local:${join(folder, 'by-rclone/repository')}` }),
};

function makeData(root: string): void {
  for (let directory = 0; directory < 5; directory++) {
    mkdirSync(join(root, `d${directory}`), { recursive: true });
    for (let file = 0; file < 10; file++)
      writeFileSync(join(root, `d${directory}/f${file}`), `${directory} ${file}\n`.repeat(file * 40));
  }
  writeFileSync(join(root, 'large'), randomBytes(12_000_000));
}

interface CopyJson {
  readonly copied: readonly { readonly newId: string }[];
  readonly failed: readonly unknown[];
}

async function copied(holdfast: HoldfastCommand, ...args: string[]): Promise<number> {
  const report = JSON.parse(await holdfast.run('copy', ...args, '--format', 'json')) as CopyJson;
  expect(report.failed).toEqual([]);
  return report.copied.length;
}

test.each(Object.keys(places))(
  'keys, copies and repairs work by "%s" as on a disk',
  async (name) => {
    const place = places[name]?.() ?? { location: '' };
    const root = join(folder, `world-${name}`);
    const [source, local] = [join(root, 'source'), join(root, 'local')];
    makeData(source);
    const holdfast = holdfastCommand(join(root, 'state'), place.env);
    await holdfast.run('init', '--repo', local);
    await holdfast.run('backup', source);
    writeFileSync(join(source, 'more'), randomBytes(1_000_000));
    await holdfast.run('backup', source);

    await holdfast.run('init', '--repo', place.location, '--chunker-from', 'default');
    const there = ['--repo', place.location];
    expect(await copied(holdfast, '--to-repo', place.location)).toBe(2);
    expect(await copied(holdfast, '--to-repo', place.location)).toBe(0);
    expect(await holdfast.run(...there, 'check', '--read-data')).toContain('Whole: 2 snapshots');

    const spare = join(root, 'spare.key');
    await holdfast.run(...there, 'key', 'add', '--new-key-file', spare);
    await holdfast.run(...there, 'key', 'change');
    expect((await holdfast.run(...there, 'key', 'list', '-q')).trim().split('\n')).toHaveLength(2);
    await holdfast.run(...there, '--password-file', spare, 'snapshots');
    expect(await holdfast.run(...there, 'unlock')).toBe('There are no locks.\n');

    await withStore(place, async (store) => {
      for (const { name: file } of await store.list('index')) await store.remove('index', file);
    });
    expect((await holdfast.attempt(...there, 'check')).exitCode).toBe(6);
    expect(await holdfast.run(...there, 'repair', 'index')).toContain('that no index named');
    expect(await holdfast.run(...there, 'check', '--read-data')).toContain('Whole: 2 snapshots');

    await withStore(place, async (store) => {
      const packs = (await store.list('data')).toSorted((a, b) => b.sizeBytes - a.sizeBytes);
      await store.remove('data', packs[0]?.name ?? '');
    });
    expect((await holdfast.attempt(...there, 'repair', 'packs', '--all-damaged', '--yes')).exitCode).toBe(3);
    expect((await holdfast.attempt(...there, 'repair', 'snapshots', '--forget', '--yes')).exitCode).toBe(3);
    expect(await holdfast.run(...there, 'check', '--read-data')).toContain('Whole');

    // The first place repairs what the second one lost.
    expect(await copied(holdfast, '--to-repo', place.location)).toBeGreaterThan(0);
    const back = join(root, 'back');
    await holdfast.run('init', '--repo', back);
    await copied(holdfast, ...there, '--to-repo', back);
    rmSync(local, { recursive: true });
    const newest = (await holdfast.run('--repo', back, 'snapshots', '-q')).trim().split('\n');
    expect(newest.length).toBeGreaterThanOrEqual(2);
    expect(await holdfast.run('--repo', back, 'check', '--read-data')).toContain('Whole');
    const whole = JSON.parse(await holdfast.run('--repo', back, 'snapshots', '--format', 'json')) as {
      id: string;
      tags: string[];
    }[];
    const target = join(root, 'target');
    const last = whole.filter(({ tags }) => tags.length === 0).at(-1);
    await holdfast.run('--repo', back, 'restore', last?.id ?? '', '--to', target);
    expect(treeFacts(target)).toEqual(treeFacts(source));
  },
  300_000,
);
