import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { treeFacts } from '../support/tree-facts.ts';
import { Cli, type CliResult } from './cli.ts';

let cli: Cli;
let root: string;
let saved: string[];
beforeAll(async () => {
  cli = new Cli();
  await cli.init();
  root = await cli.volume('postgres');
  mkdirSync(join(root, 'base'));
  for (let index = 0; index < 20; index++)
    writeFileSync(join(root, 'base', `file-${index}`), `content ${index}`.repeat(100));
  await cli.run('backup', 'postgres');
  saved = treeFacts(root);
});
afterAll(() => cli[Symbol.dispose]());

/** What all refusals have in common. */
function expectRefusal(
  result: CliResult,
  wanted: { readonly exit: number; readonly message: string | RegExp },
): void {
  expect(result.stderr).toMatch(wanted.message);
  expect(result.stderr).toMatch(/^holdfast: \S/m);
  expect(result.stderr).not.toMatch(/\n\s+at |node:internal/);
  expect(result.exit).toBe(wanted.exit);
  expect(result.stdout).toBe('');
  expect(treeFacts(root)).toEqual(saved);
}

test('a name similar to a known one has no snapshots, with a hint', async () => {
  const { exit, stdout, stderr } = await cli.attempt(['snapshots', 'postgre']);
  expect({ exit, stdout }).toEqual({ exit: 0, stdout: 'There are no snapshots.\n' });
  expect(stderr).toContain('Did you mean "postgres"?');
});

test.each([
  ['defualt', /no repository "defualt"\nHint: Did you mean "default"/],
  ['offsite', /no repository "offsite"\nHint: See "holdfast repo ls"/],
])('a repository that is none of the known ones is told: %s', async (name, message) => {
  expectRefusal(await cli.attempt(['snapshots', '--repo', name]), { exit: 4, message });
});

describe('a state folder that cannot be', () => {
  test.each([
    [
      '/proc/holdfast/state',
      1,
      /^holdfast: Cannot make the state folder "\/proc\/holdfast\/state": no folder can/,
    ],
    ['/etc/hostname', 1, /"\/etc\/hostname": it is a file, not a folder\nHint: Choose another/],
    ['/etc/hostname/state', 1, /: a part of that path is a file, not a folder/],
  ])('is refused: %s', async (stateDir, exit, message) => {
    expectRefusal(await cli.attempt(['volume', 'ls', '--state-dir', stateDir]), { exit, message });
  });

  test('nor a repository where no folder can be made', async () => {
    expectRefusal(await cli.attempt(['repo', 'add', 'proc', '/proc/holdfast/repository']), {
      exit: 4,
      message: /\/proc\/holdfast\/repository/,
    });
  });
});

describe('a wrong command line', () => {
  test.each([
    [['backp'], /no command "backp"\nHint: Did you mean "backup"/],
    [['volume', 'inspct', 'x'], /no command "inspct"\nHint: Did you mean "inspect"/],
    [['pull', 'postgres'], /no command "pull"/],
    [['backup', 'postgres', '--exlude', 'x'], /no flag "--exlude" here\nHint: Did you mean "--exclude"/],
    [['volume', 'ls', '-X'], /no flag "-X"/],
    [['restore'], /What to restore is missing/],
    [['snapshots', 'a', 'b'], /one argument too many: "b"/],
    [['backup', 'postgres', '--tag='], /"--tag" has an empty value/],
    [['backup', 'postgres', '--tag'], /"--tag" needs a value/],
    [['--format', 'yaml', 'volume', 'ls'], /Format "yaml" is unknown/],
    [['volume', 'ls', '--host', 'dokcer'], /Host "dokcer" is unknown/],
    [['--state-dir'], /"--state-dir" needs a value/],
    [['check', '--read-data=0'], /share "0"/],
    [['check', '--read-data=101'], /share "101"/],
    [['backup'], /Nothing to back up was named/],
    [['volume', 'ls', '-f', 'nope=1'], /invalid filter 'nope'/],
    [['volume', 'create', 'x', '-o', 'noequals'], /option "noequals"/],
    [['volume', 'create', '../up'], /includes invalid characters/],
    [['completion', 'tcsh'], /no completion for "tcsh"/],
  ])('%j is a usage error that says what to do', async (args, message) => {
    expectRefusal(await cli.attempt(args), { exit: 2, message });
  });
});

describe('a name that is not there', () => {
  test('is never made by a typo, and the name that was meant is named', async () => {
    const result = await cli.attempt(['backup', 'postgers']);
    expectRefusal(result, { exit: 4, message: /no volume "postgers"\nHint: Did you mean "postgres"/ });
    expect((await cli.run('volume', 'ls', '-q')).trim()).toBe('postgres');
    expect(await cli.ids('postgres')).toHaveLength(1);
  });

  test('stops the whole command before anything is saved', async () => {
    expectRefusal(await cli.attempt(['backup', 'postgres', 'nope']), { exit: 4, message: /"nope"/ });
    expect(await cli.ids('postgres')).toHaveLength(1);
  });

  test.each([
    [['restore', 'postgers', '--yes'], /no snapshot of "postgers".*\nHint: Did you mean "postgres"/],
    [['restore', 'postgres@00000000', '--yes'], /no snapshot "00000000" of "postgres"/],
    [['ls', 'ffffffffff'], /no snapshot of "ffffffffff"/],
    [['ls', 'postgres', 'base/none'], /none/],
    [['diff', 'postgres', 'nope'], /"nope"/],
    [['backup', './none'], /no directory or file ".*none"/],
    [['backup', '--stack', 'shop'], /no stack "shop"/],
  ])('%j is not found', async (args, message) => {
    expectRefusal(await cli.attempt(args), { exit: 4, message });
  });
});

describe('the repository', () => {
  test('is not made where other things are, and nothing is touched there', async () => {
    const folder = cli.mkdir('photos');
    writeFileSync(join(folder, 'photo'), 'mine');
    using fresh = new Cli();
    expectRefusal(await fresh.attempt(['init', '--repo', folder]), {
      exit: 1,
      message: /holds other things/,
    });
    expect(readdirSync(folder)).toEqual(['photo']);
  });

  test('a wrong password opens nothing', async () => {
    writeFileSync(join(cli.folder, 'wrong'), 'wrong\n');
    const before = readdirSync(cli.repository);
    for (const args of [
      ['snapshots'],
      ['backup', 'postgres'],
      ['restore', 'postgres', '--yes'],
      ['init', '--repo', cli.repository],
    ]) {
      const result = await cli.attempt([...args, '--password-file', './wrong']);
      expectRefusal(result, { exit: 1, message: /password/i });
    }
    expect(readdirSync(cli.repository)).toEqual(before);
    expect((await cli.attempt(['snapshots'], { env: { HOLDFAST_PASSWORD: 'wrong' } })).exit).toBe(1);
    expect((await cli.attempt(['snapshots'], { env: { HOLDFAST_PASSWORD: cli.key() } })).exit).toBe(0);
    expect(
      (
        await cli.attempt(['snapshots'], {
          env: { HOLDFAST_PASSWORD_COMMAND: `cat '${cli.stateDir}/keys/default.key'` },
        })
      ).exit,
    ).toBe(0);
  });

  test('a file in place of a folder, or a missing folder, is refused', async () => {
    const password = ['--password-file', join(cli.stateDir, 'keys/default.key')];
    cli.mkdir('none');
    expectRefusal(await cli.attempt(['snapshots', '--repo', './none', ...password]), {
      exit: 4,
      message: /repository/i,
    });
    expectRefusal(await cli.attempt(['backup', 'postgres', '--repo', './missing', ...password]), {
      exit: 4,
      message: /repository/i,
    });
    expect(existsSync(join(cli.folder, 'missing'))).toBe(false);
    expectRefusal(await cli.attempt(['snapshots', '--repo', 's3:bucket/x', ...password]), {
      exit: 1,
      message: /no credentials/,
    });
  });

  test('without one there is a hint how to make one', async () => {
    using fresh = new Cli();
    await fresh.run('volume', 'create', 'v1');
    expectRefusal(await fresh.attempt(['backup', 'v1']), {
      exit: 4,
      message: /no repository yet\nHint: .*holdfast init/,
    });
  });

  test('a repository that was replaced by another is noticed', async () => {
    using fresh = new Cli();
    await fresh.init();
    rmSync(fresh.repository, { recursive: true });
    await fresh.run(
      '--state-dir',
      fresh.mkdir('other'),
      'init',
      '--repo',
      fresh.repository,
      '--password-file',
      join(fresh.stateDir, 'keys/default.key'),
    );
    expectRefusal(await fresh.attempt(['snapshots']), {
      exit: 1,
      message: /not the one that was there before/,
    });
  });

  test('a second init leaves the default unchanged, says how to change it, and does so on request', async () => {
    using fresh = new Cli();
    await fresh.init();
    const other = join(fresh.folder, 'typo');
    const said = await fresh.run('init', '--repo', other);
    expect(said).toContain(`The default stays default (${fresh.repository})`);
    expect(said).toContain('holdfast repo default typo');
    expect(await fresh.json('init')).toMatchObject({ location: fresh.repository, isDefault: true });
    expect(await fresh.json('init', '--repo', other, '--default')).toMatchObject({
      isDefault: true,
      defaultRepository: { name: 'typo', location: other },
    });
    expect(await fresh.json('init')).toMatchObject({ location: other });
  });

  test('a directory without a repository is reported as such, and its password is not asked for', async () => {
    expectRefusal(await cli.attempt(['--repo', join(cli.folder, 'nowhere'), 'snapshots']), {
      exit: 4,
      message: /There is no repository in ".*nowhere"/,
    });
  });

  test('init may be repeated, and keeps key and repository', async () => {
    const key = cli.key();
    expect(await cli.json('init')).toMatchObject({ created: false, location: cli.repository });
    const again = await cli.json<{ created: boolean; repositoryId: string }>(
      'init',
      '--repo',
      cli.repository,
    );
    expect(again.created).toBe(false);
    expect(cli.key()).toBe(key);
  });

  test('init makes a key and a repository that only its user can read', async () => {
    using fresh = new Cli();
    // Not by fresh.init(), which makes both itself.
    expect(await fresh.json('init', '--repo', fresh.repository)).toMatchObject({ created: true });
    const mode = (path: string): string => (statSync(path).mode & 0o777).toString(8);
    const folders = [fresh.stateDir, join(fresh.stateDir, 'keys'), join(fresh.repository, 'keys')];
    expect(folders.map(mode)).toEqual(['700', '700', '700']);
    const [key = ''] = readdirSync(join(fresh.repository, 'keys'));
    const files = [join(fresh.stateDir, 'keys/default.key'), join(fresh.repository, 'keys', key)];
    expect(files.map(mode)).toEqual(['600', '600']);
    expect(fresh.key()).toMatch(/^[\w-]{43}$/);
  });

  test('a repository whose disk is not mounted is not made anew', async () => {
    using fresh = new Cli();
    await fresh.init();
    renameSync(fresh.repository, `${fresh.repository}-away`);
    expectRefusal(await fresh.attempt(['init']), {
      exit: 4,
      message: /is not there any more\nHint: Mount its disk/,
    });
    expect(existsSync(fresh.repository)).toBe(false);
    expectRefusal(await fresh.attempt(['snapshots']), { exit: 4, message: /repository/i });
    renameSync(`${fresh.repository}-away`, fresh.repository);
    await fresh.run('snapshots');
  });

  test('of two inits at once from two state folders one makes the repository, and the other keeps no key', async () => {
    using fresh = new Cli();
    const states = ['one', 'other'].map((name) => join(fresh.folder, name));
    const results = await Promise.all(
      states.map((state) => fresh.attempt(['--state-dir', state, 'init', '--repo', fresh.repository])),
    );
    const won = results.findIndex(({ exit }) => exit === 0);
    expectRefusal(results[1 - won] ?? { exit: 0, stdout: '', stderr: '' }, {
      exit: 1,
      message: /password/,
    });
    expect(readdirSync(join(states[1 - won] ?? '', 'keys'))).not.toContain('default.key');
    expect(readdirSync(join(fresh.repository, 'keys'))).toHaveLength(1);
    await fresh.run('--state-dir', states[won] ?? '', 'snapshots');
  });

  test('two inits at once make one key and one repository', async () => {
    using fresh = new Cli();
    const results = await Promise.all([
      fresh.attempt(['init', '--repo', fresh.repository]),
      fresh.attempt(['init', '--repo', fresh.repository]),
    ]);
    const codes = results.map(({ exit }) => exit).sort((a, b) => a - b);
    expect([
      [0, 0],
      [0, 5],
    ]).toContainEqual(codes);
    await fresh.run('snapshots');
  });
});

describe('damage', () => {
  /** The largest file of a kind in a repository. */
  function find(folder: string): string {
    const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) =>
      entry.isFile(),
    );
    const paths = files.map((entry) => join(entry.parentPath, entry.name));
    return paths.sort((a, b) => statSync(b).size - statSync(a).size)[0] ?? '';
  }

  async function withDamage(path: string, act: () => Promise<void>): Promise<void> {
    const whole = readFileSync(path);
    chmodSync(path, 0o600);
    const damaged = Buffer.from(whole);
    const middle = Math.floor(damaged.length / 2);
    damaged[middle] = (damaged[middle] ?? 0) ^ 0xff;
    writeFileSync(path, damaged);
    try {
      await act();
    } finally {
      writeFileSync(path, whole);
    }
  }

  test('of a pack is found by check --read-data, and no restore replaces data from it', async () => {
    await withDamage(find(join(cli.repository, 'data')), async () => {
      const check = await cli.attempt(['check', '--read-data']);
      expect(check.exit).toBe(6);
      expect(check.stderr).toContain('damaged');
      expectRefusal(await cli.attempt(['restore', 'postgres', '--yes', '-q']), {
        exit: 6,
        message: /holdfast: /,
      });
      expect(readdirSync(join(root, '..'))).toEqual(['_data']);
      const json = await cli.attempt(['check', '--read-data', '--format', 'json']);
      expect((JSON.parse(json.stdout) as { errors: string[] }).errors.length).toBeGreaterThan(0);
    });
    await cli.run('check', '--read-data');
  });

  test('of an index and of a snapshot is named', async () => {
    await withDamage(find(join(cli.repository, 'index')), async () => {
      expect((await cli.attempt(['check'])).exit).toBe(6);
      expectRefusal(await cli.attempt(['restore', 'postgres', '--yes', '-q']), {
        exit: 6,
        message: /holdfast: /,
      });
    });
    await withDamage(find(join(cli.repository, 'snapshots')), async () => {
      expect((await cli.attempt(['check'])).exit).toBe(6);
    });
    await cli.run('check', '--read-data');
  });
});

describe('hosts', () => {
  test('a Docker engine that does not respond is an error that names it, despite other engines', async () => {
    const env = { DOCKER_HOST: `unix://${cli.folder}/no.sock`, HOLDFAST_HOST: 'docker' };
    expectRefusal(await cli.attempt(['volume', 'ls'], { env }), {
      exit: 1,
      message: /Cannot reach Docker at "unix:.*no\.sock"/,
    });
    expectRefusal(await cli.attempt(['backup', 'postgres'], { env }), {
      exit: 1,
      message: /Cannot reach Docker/,
    });
    expectRefusal(await cli.attempt(['volume', 'ls'], { env: { ...env, HOLDFAST_HOST: 'auto' } }), {
      exit: 1,
      message: /Cannot reach Docker/,
    });
  });

  test('snapshots can be listed and restored to a directory without the engine', async () => {
    const env = { DOCKER_HOST: `unix://${cli.folder}/no.sock`, HOLDFAST_HOST: 'docker' };
    expect((await cli.attempt(['snapshots', 'postgres', '-q'], { env })).stdout).toMatch(/^[0-9a-f]{64}\n/);
    const restored = await cli.attempt(['restore', 'postgres', '--to', './rescued'], { env });
    expect(restored).toMatchObject({ exit: 0 });
    expect(treeFacts(join(cli.folder, 'rescued'))).toEqual(saved);
  });

  test('a missing podman is an error that says how to start it', async () => {
    const env = { CONTAINER_HOST: 'unix:///nowhere/podman.sock' };
    expectRefusal(await cli.attempt(['volume', 'ls', '--host', 'podman'], { env }), {
      exit: 1,
      message: /Cannot reach Podman: there is no socket at "\/nowhere\/podman.sock"/,
    });
  });
});

test('a server that takes the connection and closes it is named, and the command ends as every other', async () => {
  await using server = createServer((socket) => socket.destroy());
  const { promise, resolve } = Promise.withResolvers<void>();
  server.listen(0, '127.0.0.1', resolve);
  await promise;
  const { port } = server.address() as AddressInfo;
  const options = ['-d', 'nfs', '-o', 'device=127.0.0.1:/x', '-o', `o=port=${port}`];
  await cli.run('volume', 'create', 'far', ...options);
  expectRefusal(await cli.attempt(['volume', 'browse', 'far']), {
    exit: 1,
    message: /what listens there does not answer as an NFS server/i,
  });
  await cli.run('volume', 'rm', 'far', '--permanent');
});

test('a file of variables for Compose sets no options of Node.js, and a missing one is named', async () => {
  const shop = cli.mkdir('shop');
  writeFileSync(join(shop, 'compose.yaml'), 'services: { web: { image: busybox } }\n');
  const option = '--import=data:text/javascript,process.exit(77)';
  writeFileSync(join(shop, 'prod.env'), `NODE_OPTIONS=${option}\n`);
  const check = ['compose', 'check', '--env-file'];
  expect((await cli.attempt([...check, 'prod.env'], { cwd: shop })).exit).toBe(0);
  expectRefusal(await cli.attempt([...check, 'missing.env'], { cwd: shop }), {
    exit: 4,
    message: /Cannot read ".*missing.env": it does not exist/,
  });
});
