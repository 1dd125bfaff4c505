import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openFreshRepository } from '../fixtures/open-repository.ts';
import { awkwardPassword, type Databases, startDatabases } from './databases.fixture.ts';

const path = '/var/lib/mysql';
const request = { readyWithinMs: 60_000, countWithinMs: 60_000 };

let databases: Databases;
beforeAll(async () => {
  databases = await startDatabases();
  const environment = { MARIADB_ROOT_PASSWORD: awkwardPassword };
  await databases.start({ name: 'maria', image: 'mariadb:11', path, environment });
  await sql(
    'maria',
    "CREATE DATABASE `sh``o'p \"é`; CREATE TABLE `sh``o'p \"é`.`t'1` (n int PRIMARY KEY, x longtext) ENGINE=InnoDB; CREATE TABLE `sh``o'p \"é`.old (n int) ENGINE=MyISAM; INSERT INTO `sh``o'p \"é`.old VALUES (1), (2);" +
      "USE `sh``o'p \"é`; INSERT INTO `t'1` SELECT seq, REPEAT('x', 900) FROM seq_1_to_30000;",
  );
});
afterAll(() => databases?.[Symbol.asyncDispose]());

async function sql(container: string, text: string): Promise<string> {
  return await databases.engine.docker([
    ...['exec', '-e', `MYSQL_PWD=${awkwardPassword}`, container],
    ...['mariadb', '-u', 'root', '--default-character-set=utf8mb4', '-Ne', text],
  ]);
}

describe('MariaDB', () => {
  test('is recognised, and takes a password of any characters', async () => {
    const { preset, server } = await databases.recognise('maria');
    expect(preset.name).toBe('mariadb');
    expect(server.recognition.by).toBe('both');
    const check = await preset.check(server, request);
    expect(check.problems).toEqual([]);
    expect(check.isHealthy).toBe(true);
    expect(check.facts).toEqual(['1 database', '2 tables', '30,002 rows']);
    expect(check.counts["rows.sh`o'p \"é.t'1"]).toBe(30_000);
  });

  test('blocks all writes while it is held, and no longer', async () => {
    const { preset, server } = await databases.recognise('maria');
    const insert = 'INSERT INTO `sh``o\'p "é`.old VALUES (3)';
    let isWritten = false;
    let writing: Promise<void> | undefined;
    {
      await using hold = await preset.hold?.(server);
      expect(hold).toMatchObject({ grade: 'app', gradeLive: 'torn' });
      writing = sql('maria', insert).then(() => void (isWritten = true));
      await sleep(1500);
      expect(isWritten).toBe(false);
      await databases.containers.pause(server.container.id);
      await databases.containers.unpause(server.container.id);
      await hold?.assertHeld();
      expect(isWritten).toBe(false);
    }
    await writing;
    expect(isWritten).toBe(true);
  });

  test('reports that the lock was lost when the client was killed meanwhile, and is free then', async () => {
    const { preset, server } = await databases.recognise('maria');
    await using hold = await preset.hold?.(server);
    await databases.killInside('maria', /^mariadb .*--unbuffered/);
    await expect(hold?.assertHeld()).rejects.toThrow(/its session was lost/);
    await sql('maria', 'INSERT INTO `sh``o\'p "é`.old VALUES (4)');
  });

  test('is free when the holder of the lock is gone', async () => {
    const { preset, server } = await databases.recognise('maria');
    const controller = new AbortController();
    const hold = await preset.hold?.({ ...server, signal: controller.signal });
    controller.abort();
    expect(await sql('maria', 'INSERT INTO `sh``o\'p "é`.old VALUES (5); SELECT 1')).toBe('1');
    await hold?.[Symbol.asyncDispose]();
  });

  test('is free when the process that held it was killed while the server was paused', async () => {
    const { server } = await databases.recognise('maria');
    const script = join(databases.engine.folder, 'hold.ts');
    const from = join(import.meta.dirname, '../../src');
    await writeFile(
      script,
      `import { openDockerHost } from '${from}/hosts/docker/docker-host.ts';
       import { presetOf } from '${from}/quiesce/presets/find-presets.ts';
       const { containers } = await openDockerHost({ env: { DOCKER_HOST: '${databases.engine.dockerHost}' } });
       const container = await containers.find('maria');
       const recognition = { by: 'image', folder: '', files: [], reason: '' };
       const hold = await presetOf('mariadb').hold({ containers, container, mountPath: '/var/lib/mysql', recognition });
       await containers.pause(container.id);
       console.log(hold.evidence);
       setInterval(() => {}, 1000);`,
    );
    const child = spawn(process.execPath, [script], { stdio: ['ignore', 'pipe', 'inherit'] });
    const [said] = (await once(child.stdout, 'data')) as [Buffer];
    expect(said.toString()).toContain('BACKUP STAGE');
    child.kill('SIGKILL');
    await once(child, 'exit');
    await databases.containers.unpause(server.container.id);
    expect(await sql('maria', 'INSERT INTO `sh``o\'p "é`.old VALUES (6); SELECT 1')).toBe('1');
  });

  test('is not held while another client has what it needs, and says so in time', async () => {
    const { preset, server } = await databases.recognise('maria');
    const busy = sql('maria', 'LOCK TABLES `sh``o\'p "é`.old WRITE; SELECT SLEEP(45)');
    const sleeping = "SELECT COUNT(*) FROM information_schema.processlist WHERE state = 'User sleep'";
    await expect.poll(() => sql('maria', sleeping)).toBe('1');
    await expect(preset.hold?.(server)).rejects.toThrow(/lock was not given/);
    await databases.killInside('maria', /SLEEP\(45\)/);
    await expect(busy).rejects.toThrow();
  });

  test('is restored from its dump in a repository onto another server', async () => {
    await using opened = await openFreshRepository();
    const { repository } = opened;
    const { preset, server } = await databases.recognise('maria');
    const [dump] = (await preset.dumps?.(server)) ?? [];
    if (!dump) throw new Error('There is no dump');
    const stored = await repository.storeDump({ name: dump.name, body: dump.open() });
    const again = await repository.storeDump({ name: dump.name, body: dump.open() });
    expect(again.content).toEqual(stored.content);
    const { snapshot } = await opened.save({ kind: 'entries', entries: emptyTree() }, { dumps: [stored] });
    if (!snapshot) throw new Error('There is no snapshot');
    const environment = { MARIADB_ROOT_PASSWORD: awkwardPassword };
    await databases.start({ name: 'other', image: 'mariadb:11', path, environment });
    const other = await databases.recognise('other');
    const [entry] = await repository.listDumps(snapshot);
    if (!entry) throw new Error('There is no dump');
    await other.preset.restoreDump?.(other.server, {
      name: dump.name,
      body: repository.readFile(snapshot, entry),
    });
    const check = await other.preset.check(other.server, request);
    expect(check.problems).toEqual([]);
    expect(check.counts["rows.sh`o'p \"é.t'1"]).toBe(30_000);
  });
});

describe('a dump of MariaDB', () => {
  test('is not good when its client is killed in the middle', async () => {
    const { preset, server } = await databases.recognise('maria');
    const [dump] = (await preset.dumps?.(server)) ?? [];
    let isKilled = false;
    const reading = async (): Promise<void> => {
      for await (const _ of dump?.open() ?? []) {
        if (!isKilled) await databases.killInside('maria', /^mariadb-dump /);
        isKilled = true;
      }
    };
    await expect(reading()).rejects.toThrow(/Cannot dump MariaDB in "maria".*failed \(exit 137\)/);
  });

  test('is not good when the server dies during it', async () => {
    const environment = { MARIADB_ROOT_PASSWORD: 'x' };
    await databases.start({ name: 'mortal', image: 'mariadb:11', path, environment });
    await databases.engine.docker([
      ...['exec', 'mortal', 'mariadb', '-u', 'root', '-px', '-e'],
      `CREATE DATABASE d; CREATE TABLE d.t (n int, x longtext); USE d; INSERT INTO d.t SELECT seq, REPEAT('x', 900) FROM seq_1_to_60000`,
    ]);
    const { preset, server } = await databases.recognise('mortal');
    const [dump] = (await preset.dumps?.(server)) ?? [];
    let isKilled = false;
    const reading = async (): Promise<void> => {
      for await (const _ of dump?.open() ?? []) {
        if (!isKilled) await databases.engine.docker(['kill', 'mortal']);
        isKilled = true;
      }
    };
    await expect(reading()).rejects.toThrow();
  });

  test('cannot be made with a wrong password, and says how to give the right one', async () => {
    await sql('maria', "ALTER USER 'root'@'localhost' IDENTIFIED BY 'new', 'root'@'%' IDENTIFIED BY 'new'");
    const { preset, server } = await databases.recognise('maria');
    await expect(preset.dumps?.(server)).rejects.toMatchObject({
      code: 'denied',
      hint: expect.stringContaining('holdfast.database.password-file'),
    });
    await databases.engine.docker(['exec', 'maria', 'sh', '-c', 'printf "new\\n" > /tmp/secret']);
    const labels = { 'holdfast.database.password-file': '/tmp/secret' };
    expect(await preset.dumps?.({ ...server, container: { ...server.container, labels } })).toHaveLength(1);
  });
});

async function* emptyTree(): AsyncGenerator<never> {
  const entry = { path: '', type: 'dir', mode: 0o755, uid: 0, gid: 0, mtimeNs: 0n, size: 0 } as const;
  yield { entry, body: (async function* () {})() } as never;
}
