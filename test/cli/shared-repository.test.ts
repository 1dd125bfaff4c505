import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Cli } from './cli.ts';

/** Two machines that share a repository, each with its own state folder. */
let a: Cli;
let b: Cli;
beforeEach(async () => {
  [a, b] = [new Cli(), new Cli()];
  await a.init();
  const key = join(a.stateDir, 'keys/default.key');
  await b.run('init', '--repo', a.repository, '--password-file', key);
});
afterEach(() => {
  a[Symbol.dispose]();
  b[Symbol.dispose]();
});

function write(on: Cli, data: string): void {
  writeFileSync(join(on.root('pg'), 'data'), data);
}

function read(on: Cli): string {
  return readFileSync(join(on.root('pg'), 'data'), 'utf8');
}

interface Listed {
  readonly id: string;
  readonly isOwn: boolean;
  readonly tags: readonly string[];
  readonly volume: {
    readonly identity: string;
    readonly host: { readonly identity: string };
    readonly continues?: { readonly identity: string };
  };
}

/** Everything in the repository, oldest first. */
async function listAll(on: Cli): Promise<Listed[]> {
  return await on.json<Listed[]>('snapshots');
}

const nightly = `policies:\n  nightly:\n    schedule: '30 3 * * *'\n    keep: { last: 1 }\n`;

describe('a volume that was restored on another machine', () => {
  test('has snapshots of its own there that continue those, and each machine’s names mean its own', async () => {
    await a.volume('pg');
    write(a, 'of a');
    await a.run('backup', 'pg');
    const plan = await b.run('restore', 'pg', '--dry-run');
    expect(plan).toContain('was saved by another machine of the same name');
    await b.run('restore', 'pg');
    write(b, 'of b');
    await b.run('backup', 'pg');
    const [first, second] = await listAll(a);
    expect(second?.volume.identity).not.toBe(first?.volume.identity);
    expect(second?.volume.continues?.identity).toBe(first?.volume.identity);
    expect([first?.isOwn, second?.isOwn]).toEqual([true, false]);
    for (const [on, data] of [
      [a, 'of a'],
      [b, 'of b'],
    ] as const) {
      write(on, 'newer');
      await on.run('restore', 'pg', '--yes');
      expect(read(on)).toBe(data);
      const [latest] = await on.json<Listed[]>('snapshots', 'pg');
      expect(await on.run('dump', 'latest', '/data')).toBe(data);
      expect(latest?.isOwn).toBe(true);
    }
    await b.run('restore', `pg@${first?.id.slice(0, 12)}`, '--yes');
    expect(read(b)).toBe('of a');
  });

  test('one machine’s rules do not apply to the other’s snapshots, by policies and by hand', async () => {
    await a.volume('pg');
    for (const on of [a, b]) writeFileSync(join(on.stateDir, 'holdfast.yaml'), nightly);
    write(a, 'of a');
    await a.run('policy', 'run', 'nightly');
    await b.run('restore', 'pg');
    let told = '';
    for (const data of ['of b', 'of b again']) {
      write(b, data);
      told = (await b.attempt(['policy', 'run', 'nightly'])).stderr;
    }
    const hint = 'if it is this one, installed anew: holdfast backup pg --take-over';
    expect(told).toContain(`one snapshot of "pg" is of a machine of this name`);
    expect(told).toContain(hint);
    expect(await b.run('coverage')).toContain(hint);
    const owners = async (): Promise<boolean[]> => (await listAll(a)).map(({ isOwn }) => isOwn);
    expect(await owners()).toEqual([true, false]);
    const left = await b.attempt(['forget', '--keep-last', '1', '--keep-verified', '0', '--yes']);
    expect(left).toMatchObject({ exit: 0, stderr: expect.stringContaining('One snapshot is left alone') });
    expect(await owners()).toEqual([true, false]);
    write(a, 'of a again');
    await a.run('backup', 'pg');
    await a.run('backup', 'pg');
    await b.run('forget', '--keep-last', '1', '--all-hosts', '--yes');
    expect(await owners()).toEqual([false, true]);
  });

  test('is not touched by name where this machine has none of that name', async () => {
    await a.volume('pg');
    write(a, 'of a');
    await a.run('backup', 'pg');
    for (const what of ['pg', 'latest', `pg@${new Date(Date.now() + 60_000).toISOString()}`]) {
      const refused = await b.attempt(['forget', what, '--allow-empty', '--yes']);
      expect(refused).toMatchObject({ exit: 2, stderr: expect.stringContaining('saved them') });
      const kept = await b.attempt(['tag', what, '--add', 'mine']);
      expect(kept).toMatchObject({ exit: 2, stderr: expect.stringContaining('saved it') });
    }
    const [only, ...more] = await listAll(a);
    expect(more).toEqual([]);
    await b.run('tag', only?.id.slice(0, 12) ?? '', '--add', 'mine');
    expect((await listAll(a))[0]?.tags).toEqual(['mine']);
  });

  test('continues with them where this machine replaces the other, and then rules apply to all', async () => {
    await a.volume('pg');
    for (const data of ['first', 'second']) {
      write(a, data);
      await a.run('backup', 'pg');
    }
    expect(await b.attempt(['restore', 'pg', '--to', './x', '--take-over'])).toMatchObject({ exit: 2 });
    await b.run('restore', 'pg', '--take-over');
    await b.run('backup', 'pg');
    const listed = await b.json<Listed[]>('snapshots', 'pg');
    expect(new Set(listed.map(({ volume }) => volume.identity)).size).toBe(1);
    expect(listed.map(({ isOwn }) => isOwn)).toEqual([true, true, true]);
    await b.run('forget', 'pg', '--keep-last', '1', '--keep-verified', '0', '--yes');
    expect(await listAll(b)).toHaveLength(1);
  });
});

describe('a machine whose state folder was lost', () => {
  test('takes its directories over by a backup, and begins anew without', async () => {
    const folder = a.mkdir('srv');
    writeFileSync(join(folder, 'data'), 'as it is');
    await a.run('backup', folder);
    await b.run('backup', folder);
    expect((await b.json<Listed[]>('snapshots', folder)).map(({ isOwn }) => isOwn)).toEqual([true]);
    rmSync(b.stateDir, { recursive: true });
    mkdirSync(b.stateDir);
    const key = join(a.stateDir, 'keys/default.key');
    await b.run('init', '--repo', a.repository, '--password-file', key);
    const several = await b.attempt(['backup', folder, '--take-over']);
    expect(several.stderr).toContain('Several machines saved');
    await b.run('forget', (await listAll(a))[1]?.id ?? '', '--allow-empty', '--yes');
    await b.run('backup', folder, '--take-over');
    const listed = await b.json<Listed[]>('snapshots', folder);
    expect(listed.map(({ isOwn }) => isOwn)).toEqual([true, true]);
    expect(new Set(listed.map(({ volume }) => volume.identity)).size).toBe(1);
  });

  test('is not covered by another machine’s snapshots of the same path', async () => {
    const folder = a.mkdir('srv');
    writeFileSync(join(folder, 'data'), 'of a');
    await a.run('backup', folder);
    const policy = `policies:\n  p:\n    schedule: '30 3 * * *'\n    paths: [${folder}]\n`;
    for (const on of [a, b]) writeFileSync(join(on.stateDir, 'holdfast.yaml'), policy);
    const stateOn = async (on: Cli): Promise<string | undefined> => {
      const { stdout } = await on.attempt(['coverage', '--format', 'json']);
      const { places } = JSON.parse(stdout) as { places: { name: string; state: string }[] };
      return places.find(({ name }) => name === folder)?.state;
    };
    expect([await stateOn(a), await stateOn(b)]).toEqual(['protected', 'unprotected']);
  });
});

test('a volume restored from the snapshots of a renamed one does not join them', async () => {
  await a.volume('pg');
  write(a, 'saved');
  await a.run('backup', 'pg');
  const [saved] = await listAll(a);
  await a.run('volume', 'rename', 'pg', 'old');
  await a.volume('pg');
  const told = await a.attempt(['restore', `pg@${saved?.id.slice(0, 12)}`, '--yes']);
  expect(told).toMatchObject({ exit: 0, stderr: expect.stringContaining('"old" goes on with those') });
  expect(read(a)).toBe('saved');
  await a.run('backup', 'pg', 'old');
  const identities = (await listAll(a)).map(({ volume }) => volume.identity);
  expect(new Set(identities).size).toBe(2);
  expect(identities.filter((identity) => identity === saved?.volume.identity)).toHaveLength(2);
});
