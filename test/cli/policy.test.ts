import { mkdirSync, utimesSync, writeFileSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { startWebhookServer } from '../fixtures/webhook-server.ts';
import { Cli } from './cli.ts';

let cli: Cli;
beforeEach(async () => {
  cli = new Cli();
  await cli.init();
});
afterEach(() => cli[Symbol.dispose]());

function configure(yaml: string): string {
  const file = join(cli.stateDir, 'holdfast.yaml');
  writeFileSync(file, yaml);
  return file;
}

interface Place {
  readonly name: string;
  readonly state: string;
  readonly reason: string;
  readonly policies: readonly string[];
  readonly newest: { readonly id: string; readonly ageMs: number } | null;
}

interface RunJson {
  readonly dryRun: boolean;
  readonly backups: readonly {
    readonly name: string;
    readonly repository: string;
    readonly outcome: string | null;
    readonly snapshotId: string | null;
    readonly wouldForget: readonly string[];
  }[];
}

const nightly = `policies:\n  nightly:\n    schedule: '30 3 * * *'\n    keep: { last: 2 }\n`;

test('a directory whose name ends like a version is thinned out as any other', async () => {
  const path = cli.mkdir('app@2024');
  writeFileSync(join(path, 'f'), 'content');
  configure(`policies: { nightly: { paths: '${path}', schedule: '@daily', keep: { last: 2 } } }`);
  for (let run = 0; run < 3; run++) await cli.run('policy', 'run', 'nightly');
  const list = await cli.json<readonly { readonly name: string }[]>('snapshots');
  expect(list.filter((one) => one.name === path)).toHaveLength(2);
});

test('metrics without a daemon show a volume that was never saved', async () => {
  await cli.run('volume', 'create', 'pg');
  configure(`policies: { often: { volumes: '*', schedule: '* * * * *' } }`);
  const series = /^holdfast_policy_next_due_timestamp_seconds\{.*volume="pg".*\} (.*)$/m;
  const due = async (): Promise<number> => Number(series.exec(await cli.run('metrics'))?.[1]);
  expect(await due()).toBeGreaterThan(0);
  await cli.run('policy', 'run', 'often');
  expect(await due()).toBeGreaterThan(Date.now() / 1000 - 60);
});

test('a policy run that cannot begin is notified, since a timer’s messages are seldom read', async () => {
  await using server = await startWebhookServer();
  const notify = `notify: { chat: { type: webhook, url: '${server.origin}' } }\n`;
  const path = cli.mkdir('app');
  configure(`policies: { nightly: { paths: '${path}' }, gone: { volumes: gone } }\n${notify}`);
  expect((await cli.attempt(['policy', 'run', 'gone'])).exit).toBe(4);
  expect((await cli.attempt(['policy', 'run', 'gone', '--dry-run'])).exit).toBe(4);
  expect(server.received.map(({ body }) => body)).toEqual([
    expect.stringContaining('is about nothing that there is'),
  ]);
  await cli.run('policy', 'run', 'nightly');
  configure('policies: [');
  expect((await cli.attempt(['policy', 'run', 'nightly'])).exit).toBe(2);
  expect(server.received[1]?.body).toContain('holdfast.yaml:1:');
  configure(`policies: { nightly: { paths: '${path}' } }\n${notify}`);
  await cli.run('policy', 'run', 'nightly');
  expect(server.received[2]?.body).toContain('"event":"recovery"');
});

describe('holdfast config', () => {
  test('"check" names everything that is wrong with line and column, and ends with 2', async () => {
    const file = configure(`policies:\n  nightly:\n    schedule: '99 3 * * *'\n    kep: { daily: 7 }\n`);
    const { exit, stderr } = await cli.attempt(['config', 'check']);
    expect(exit).toBe(2);
    expect(stderr).toContain(`${file}:3:15: policies.nightly.schedule Cannot read the schedule "99 3 * * *"`);
    expect(stderr).toContain(`${file}:4:5: policies.nightly.kep is not known here: did you mean "keep"?`);
    configure(nightly);
    expect(await cli.run('config', 'check')).toBe(`${file} is good: 1 policy, 0 repositories, 0 channels.\n`);
    configure(`${nightly}    repositories: [default, ofsite]\n`);
    expect((await cli.attempt(['config', 'check'])).stderr).toContain(
      'names the repository "ofsite", which is not known',
    );
  });

  test('"show" names the source of each value: the command line, the environment, the file, or the default', async () => {
    const file = configure(`host: docker\nrepository: fromfile\n${nightly}`);
    interface ShowJson {
      readonly settings: readonly { readonly name: string; readonly value: unknown; readonly from: string }[];
    }
    const { settings } = await cli.json<ShowJson>('config', 'show', '--repo', 'given');
    const from = Object.fromEntries(settings.map(({ name, value, from: source }) => [name, [value, source]]));
    expect(from).toMatchObject({
      'state-dir': [cli.stateDir, 'HOLDFAST_STATE_DIR'],
      host: ['embedded', 'HOLDFAST_HOST'],
      repository: ['given', '--repo'],
      'policies.nightly.keep.last': [2, `${file}:6`],
      'password-file': [null, 'default'],
    });
    const plain = await cli.json<ShowJson>('config', 'show');
    expect(plain.settings.find(({ name }) => name === 'repository')).toEqual({
      name: 'repository',
      value: 'fromfile',
      from: `${file}:2`,
    });
  });

  test('a file that is named has to be there, and goes before the one in the state folder', async () => {
    configure(nightly);
    const other = join(cli.folder, 'other.yaml');
    expect(await cli.attempt(['policy', 'ls', '--config', other])).toMatchObject({ exit: 4 });
    writeFileSync(other, nightly.replace('nightly', 'elsewhere'));
    expect(await cli.run('policy', 'ls', '-q', '--config', other)).toBe('elsewhere\n');
    expect((await cli.attempt(['policy', 'ls', '-q'], { env: { HOLDFAST_CONFIG: other } })).stdout).toBe(
      'elsewhere\n',
    );
  });

  test('a repository that only the file describes is opened, known from then on, and noticed when it is replaced', async () => {
    const second = join(cli.folder, 'second');
    await cli.run('repo', 'add', 'second', second);
    const key = join(cli.stateDir, 'keys/second.key');
    await cli.run('repo', 'rm', 'second');
    const root = await cli.volume('pg');
    writeFileSync(join(root, 'data'), 'x');
    configure(
      `repositories: { offsite: { location: ${second}, password: 'file:${key}' } }\n${nightly}    repositories: [default, offsite]\n`,
    );
    const { backups } = await cli.json<RunJson>('policy', 'run', 'nightly');
    expect(backups.map(({ repository, outcome }) => [repository, outcome])).toEqual([
      ['default', 'good'],
      ['offsite', 'good'],
    ]);
    expect(await cli.run('repo', 'ls', '-q')).toContain('offsite');
    expect((await cli.run('snapshots', '--repo', 'offsite', '-q')).trim().split('\n')).toHaveLength(1);
  });
});

describe('holdfast policy', () => {
  test('new volumes are covered by a policy that names nothing, others by the one that names them', async () => {
    configure(
      `policies:\n  rest: { schedule: '@daily', except: 'scratch-*' }\n  db: { volumes: 'pg*', schedule: '@hourly' }\n`,
    );
    for (const name of ['pg', 'web', 'scratch-1']) await cli.run('volume', 'create', name);
    await cli.run('volume', 'create', 'left-out', '--label', 'holdfast.backup=false');
    await cli.run('volume', 'create', 'chosen', '--label', 'holdfast.policy=db');
    interface StatusJson {
      readonly policy: { readonly name: string };
      readonly covers: readonly { readonly name: string; readonly reason: string }[];
      readonly next: { readonly time: string; readonly name: string } | null;
    }
    const statuses = await cli.json<StatusJson[]>('policy', 'ls');
    const covered = Object.fromEntries(
      statuses.map(({ policy, covers }) => [policy.name, covers.map(({ name }) => name)]),
    );
    expect(covered).toEqual({ rest: ['web'], db: ['chosen', 'pg'] });
    expect(statuses[0]?.next).toMatchObject({ name: 'web' });
    const shown = await cli.run('policy', 'show', 'db');
    expect(shown).toMatch(/pg +its name matches "pg\*"/);
    expect(shown).toMatch(/chosen +its label names it/);
    expect(await cli.attempt(['policy', 'show', 'dbs'])).toMatchObject({
      exit: 4,
      stderr: expect.stringContaining('Did you mean "db"?'),
    });
  });

  test('a schedule in a label is enough, and settings in labels go before the policy', async () => {
    await cli.run(
      'volume',
      'create',
      'own',
      '--label',
      'holdfast.schedule=15 4 * * *',
      '--label',
      'holdfast.keep.daily=3',
    );
    await cli.run(
      'volume',
      'create',
      'odd',
      '--label',
      'holdfast.schedule=nonsense',
      '--label',
      'holdfast.shedule=@daily',
    );
    const { stdout, stderr } = await cli.attempt(['policy', 'show', 'labels']);
    expect(stdout).toContain('15 4 * * *');
    expect(stdout).toContain('3 daily');
    expect(stderr).toContain(
      'The label "holdfast.schedule" of "odd" is not understood: Cannot read the schedule "nonsense"',
    );
    expect(stderr).toContain(
      'The label "holdfast.shedule" of the volume "odd" is not known: did you mean "holdfast.schedule"?',
    );
  });

  test('"run" saves everything that it covers and applies its rules only to its own snapshots; --dry-run shows that', async () => {
    const root = await cli.volume('pg');
    configure(nightly);
    const save = async (): Promise<string> => {
      writeFileSync(join(root, 'data'), randomBytes(1000));
      return (await cli.json<RunJson>('policy', 'run', 'nightly')).backups[0]?.snapshotId ?? '';
    };
    await cli.run('backup', 'pg');
    const [byHand] = await cli.ids('pg');
    const [first, second] = [await save(), await save()];
    expect((await cli.json<RunJson>('policy', 'run', 'nightly', '--dry-run')).backups[0]).toMatchObject({
      outcome: null,
      wouldForget: [],
    });
    configure(nightly.replace('last: 2', 'last: 1'));
    const preview = await cli.json<RunJson>('policy', 'run', 'nightly', '--dry-run');
    expect(preview).toMatchObject({
      dryRun: true,
      backups: [{ name: 'pg', repository: 'default', wouldForget: [first] }],
    });
    expect(await cli.ids('pg')).toEqual([byHand, first, second]);
    const third = await save();
    expect(await cli.ids('pg')).toEqual([byHand, third]);
    expect(await cli.run('policy', 'ls')).toMatch(/nightly .* good /);
  });

  test('a volume that shrank keeps its old snapshots until a user accepts it', async () => {
    const root = await cli.volume('pg');
    configure(nightly.replace('last: 2', 'last: 1'));
    writeFileSync(join(root, 'data'), randomBytes(6 << 20));
    await cli.run('policy', 'run', 'nightly');
    const [full] = await cli.ids('pg');
    writeFileSync(join(root, 'data'), 'gone');
    const { exit, stderr } = await cli.attempt(['policy', 'run', 'nightly']);
    expect(exit).toBe(0);
    expect(stderr).toContain('"pg" shrank from 6.3 MB to 4 B');
    expect(await cli.ids('pg')).toHaveLength(2);
    await cli.run('policy', 'run', 'nightly');
    expect(await cli.ids('pg')).toContain(full);
    expect(await cli.run('policy', 'accept')).toContain('shrank');
    await cli.run('policy', 'accept', 'pg');
    expect(await cli.attempt(['policy', 'accept', 'pg'])).toMatchObject({ exit: 4 });
    await cli.run('policy', 'run', 'nightly');
    expect(await cli.ids('pg')).toHaveLength(1);
  });

  test('a volume that turned to noise is reported although an earlier attempt has stored all of it', async () => {
    const root = await cli.volume('pg');
    const attempted = cli.mkdir('attempted');
    const names = Array.from({ length: 30 }, (_, number) => `file-${number}`);
    for (const name of names) writeFileSync(join(root, name), `a line of ${name}\n`.repeat(10_000));
    await cli.run('backup', 'pg');
    for (const name of names) utimesSync(join(root, name), 1, 1);
    expect((await cli.attempt(['backup', 'pg'])).stderr).not.toContain('noise');
    for (const name of names) {
      const noise = randomBytes(200_000);
      writeFileSync(join(attempted, name), noise);
      writeFileSync(join(root, name), noise);
    }
    await cli.run('backup', attempted);
    const { stderr } = await cli.attempt(['backup', 'pg']);
    expect(stderr).toContain('"pg" turned to noise: 30 of 30 files are new or changed');
  });

  test('"next" lists upcoming runs in order, and says that no daemon runs', async () => {
    await cli.volume('pg');
    configure(`${nightly}    check: '@hourly'\n`);
    expect(await cli.run('policy', 'next')).toContain('No daemon runs');
    interface NextJson {
      readonly daemon: unknown;
      readonly runs: readonly { readonly action: string; readonly time: string }[];
    }
    const { daemon, runs } = await cli.json<NextJson>('policy', 'next');
    expect(daemon).toBeNull();
    expect(runs.map(({ action }) => action).toSorted()).toEqual(['backup', 'check', 'prune']);
    expect(runs.map(({ time }) => time)).toEqual(runs.map(({ time }) => time).toSorted());
    expect(await cli.json<NextJson>('policy', 'next', '--count', '1')).toMatchObject({
      runs: [{ action: expect.any(String) }],
    });
  });

  test('"next" shows an anonymous volume by the start of its name', async () => {
    const name = 'ab'.repeat(32);
    await cli.volume(name);
    configure(nightly);
    const shown = await cli.run('policy', 'next');
    expect(shown).toContain('abababababab (anonymous)');
    expect(shown).not.toContain(name);
  });
});

describe('holdfast coverage', () => {
  test('shows of every place whether it is protected, why, and how old its newest good snapshot is', async () => {
    const root = await cli.volume('pg');
    writeFileSync(join(root, 'data'), 'x');
    for (const name of ['npm-cache', 'plain']) await cli.run('volume', 'create', name);
    await cli.run('volume', 'create', 'left-out', '--label', 'holdfast.backup=false');
    mkdirSync(join(cli.folder, 'etc'));
    configure(`policies:\n  db: { volumes: pg, paths: ${join(cli.folder, 'etc')}, schedule: '@daily' }\n`);
    const before = await cli.attempt(['coverage', '--format', 'json']);
    expect(before.exit).toBe(3);
    await cli.run('policy', 'run', 'db');
    const { exit, stdout, stderr } = await cli.attempt(['coverage', '--format', 'json']);
    expect({ exit, stderr }).toEqual({
      exit: 3,
      stderr: expect.stringContaining('Of 5, 1 place is unprotected'),
    });
    const { places } = JSON.parse(stdout) as { places: Place[] };
    const state = Object.fromEntries(places.map((place) => [place.name, place.state]));
    expect(state).toEqual({
      pg: 'protected',
      [join(cli.folder, 'etc')]: 'protected',
      'npm-cache': 'cache',
      plain: 'unprotected',
      'left-out': 'cache',
    });
    expect(places.find(({ name }) => name === 'pg')).toMatchObject({
      reason: 'by the policy "db"',
      policies: ['db'],
    });
    expect(places.find(({ name }) => name === 'pg')?.newest?.ageMs).toBeLessThan(120_000);
    expect(places.find(({ name }) => name === 'plain')?.reason).toBe(
      'no policy is about it, and it was never saved',
    );
    await cli.run('backup', 'plain');
    expect(await cli.attempt(['coverage'])).toMatchObject({
      exit: 0,
      stdout: expect.stringContaining('it was saved by hand; no policy is about it'),
    });
  });
});
