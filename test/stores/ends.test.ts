import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runCommand } from '../../scripts/run-command.ts';
import { type HoldfastCommand, holdfastCommand } from '../support/holdfast-command.ts';
import { treeFacts } from '../support/tree-facts.ts';
import { type SshServer, startSshServer } from '../docker/ssh-server.ts';
import { motoCredentials, type MotoServer, startMoto } from './moto-server.ts';
import { type RestServer, startRestServer } from './rest-server.ts';
import { makeStoredKeyCheap, type Place } from './with-store.ts';

let folder: string;
let moto: MotoServer;
let rest: RestServer;
let ssh: SshServer;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'ends-'));
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
    location: `s3:${moto.endpoint}/bucket/some/where`,
    env: {
      AWS_ACCESS_KEY_ID: motoCredentials.accessKeyId,
      AWS_SECRET_ACCESS_KEY: motoCredentials.secretAccessKey,
    },
  }),
  rest: () => ({ location: `rest:${rest.url}some/` }),
  sftp: () => ({
    location: `sftp://127.0.0.1:${ssh.port}/${join(folder, 'by-sftp/repository')}`,
    env: { PATH: `${ssh.path}:${process.env['PATH'] ?? ''}` },
  }),
  rclone: () => ({ location: `rclone::local:${join(folder, 'by-rclone/repository')}` }),
};

/** One world with its own state folder, data and command. */
interface World extends Place {
  readonly holdfast: HoldfastCommand;
  readonly source: string;
  readonly target: string;
  readonly stateDir: string;
}

function newWorld(name: string, place: Place): World {
  const root = join(folder, `world-${name}`);
  mkdirSync(root);
  const stateDir = join(root, 'state');
  const source = join(root, 'source');
  makeData(source);
  const holdfast = holdfastCommand(stateDir, { ...place.env, HOLDFAST_REPOSITORY: place.location });
  return { ...place, holdfast, source, target: join(root, 'target'), stateDir };
}

function makeData(source: string): void {
  for (let directory = 0; directory < 12; directory++) {
    mkdirSync(join(source, `d${directory}`), { recursive: true });
    for (let file = 0; file < 15; file++)
      writeFileSync(join(source, `d${directory}`, `f${file}`), `${directory} ${file}\n`.repeat(file * 40));
  }
  writeFileSync(join(source, 'large'), randomBytes(30_000_000));
  writeFileSync(join(source, 'empty'), '');
}

async function restic({ location, env, stateDir }: World, ...args: string[]): Promise<string> {
  const key = readdirSync(join(stateDir, 'keys')).find((name) => name.endsWith('.key')) ?? '';
  const result = await runCommand(
    'restic',
    ['-r', location, '-p', join(stateDir, 'keys', key), '--no-cache', ...args],
    {
      env: { ...process.env, ...env },
    },
  );
  if (result.exitCode !== 0) throw new Error(`"restic ${args.join(' ')}" failed: ${result.output}`);
  return result.stdout;
}

describe.each(Object.keys(places))('a repository by "%s"', (name) => {
  test('is made, filled, checked, restored, and read by restic, which writes to it too', async () => {
    const world = newWorld(name, places[name]?.() ?? { location: '' });
    const { holdfast, source, target } = world;
    await holdfast.run('init');
    // A second init takes over the existing one.
    expect(await holdfast.run('init')).toContain('Took over');
    await makeStoredKeyCheap(world, world);
    await holdfast.run('backup', source);
    cpSync(join(source, 'd3'), join(source, 'copied'), { recursive: true });
    await holdfast.run('backup', source);
    expect(await holdfast.run('check', '--read-data')).toContain('Whole: 2 snapshots');
    await holdfast.run('restore', source, '--to', target);
    expect(treeFacts(target)).toEqual(treeFacts(source));

    expect(await restic(world, 'check', '--read-data')).toContain('no errors were found');
    await restic(world, 'backup', source);
    expect(await holdfast.run('check', '--read-data')).toContain('Whole: 3 snapshots');
    await holdfast.run('forget', '--keep-last', '1', '--prune', '--yes');
    expect(await restic(world, 'check', '--read-data')).toContain('no errors were found');
    rmSync(target, { recursive: true });
    await holdfast.run('restore', source, '--to', target);
    expect(treeFacts(target)).toEqual(treeFacts(source));
    // Locks disappear with their holders.
    expect((await restic(world, 'list', 'locks')).trim()).toBe('');
  });

  test('that restic made is taken over with its password', async () => {
    const place = places[name]?.() ?? { location: '' };
    const world = newWorld(`${name}-of-restic`, { ...place, location: `${place.location}-2` });
    const keyFile = join(folder, `${name}.password`);
    writeFileSync(keyFile, 'a password of restic\n');
    const env = { ...process.env, ...world.env };
    const args = ['-r', world.location, '-p', keyFile, '--no-cache'];
    for (const step of [['init'], ['backup', world.source]]) {
      const result = await runCommand('restic', [...args, ...step], { env });
      expect(result.exitCode, result.output).toBe(0);
    }
    await world.holdfast.run('init', '--password-file', keyFile);
    expect(await world.holdfast.run('check', '--read-data')).toContain('Whole: 1 snapshot,');
    const [snapshot] = JSON.parse(await world.holdfast.run('snapshots', '--format', 'json')) as {
      id: string;
    }[];
    expect(await world.holdfast.run('dump', snapshot?.id ?? '', join(world.source, 'd3/f3'))).toBe(
      readFileSync(join(world.source, 'd3/f3'), 'utf8'),
    );
  });

  test('a missing place and an unreachable one are different errors', async () => {
    const place = places[name]?.() ?? { location: '' };
    const world = newWorld(`${name}-missing`, { ...place, location: `${place.location}-3` });
    const keyFile = join(folder, `${name}.other`);
    writeFileSync(keyFile, 'x\n');
    const missing = await world.holdfast.attempt('snapshots', '--password-file', keyFile);
    expect(missing.exitCode).toBe(4);
    expect(missing.output).toContain('There is no repository in');
  });
});
