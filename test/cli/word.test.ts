import { chmodSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { startWebhookServer, type WebhookServer } from '../fixtures/webhook-server.ts';
import { Cli } from './cli.ts';

let cli: Cli;
let root: string;
beforeEach(async () => {
  cli = new Cli();
  await cli.init();
  root = await cli.volume('pg');
  writeFileSync(join(root, 'data'), 'first');
});
afterEach(() => cli[Symbol.dispose]());

/** A port without a listener. */
async function closedPort(): Promise<string> {
  const server = await startWebhookServer();
  await server[Symbol.asyncDispose]();
  return new URL(server.origin).port;
}

interface Entry {
  readonly sequence: number;
  readonly kind: string;
  readonly outcome: string;
  readonly volume: string | null;
  readonly snapshot: string | null;
  readonly message: string | null;
}

describe('holdfast log', () => {
  test('records backups, restores and every removal or change, and is intact', async () => {
    await cli.run('backup', 'pg');
    const [first = ''] = await cli.ids('pg');
    writeFileSync(join(root, 'data'), 'second');
    await cli.run('backup', 'pg');
    await cli.run('restore', `pg@${first.slice(0, 8)}`, '--yes');
    await cli.attempt(['backup', 'missing']);
    await cli.run('key', 'add', '--new-password-command', 'echo other');
    await cli.run('forget', first.slice(0, 8), '--yes');
    await cli.run('prune', '--yes');
    await cli.run('volume', 'create', 'gone');
    await cli.run('volume', 'rm', 'gone');
    await cli.run('backup', 'pg', '--dry-run');
    const entries = await cli.json<Entry[]>('log');
    expect(entries.map(({ kind, outcome, volume }) => [kind, outcome, volume])).toEqual([
      ['repository-add', 'good', null],
      ['backup', 'good', 'pg'],
      ['backup', 'good', 'pg'],
      ['restore', 'good', 'pg'],
      ['backup', 'failed', 'missing'],
      ['key-add', 'good', null],
      ['forget', 'good', 'pg'],
      ['prune', 'good', null],
      ['volume-remove', 'good', 'gone'],
    ]);
    expect(entries[6]?.snapshot).toBe(first);
    expect(await cli.run('log', '--verify')).toMatch(/^The log is whole: 9 entries, the last is 9\./);
    expect(await cli.run('log', '--kind', 'forget,prune', '-q')).toBe('7\n8\n');
    expect(await cli.run('log', '--volume', 'gone', '--since', '1h')).toMatch(/volume-remove +good +gone/);
    expect(await cli.run('log', '--last', '1', '-q')).toBe('9\n');
    const texts = readdirSync(join(cli.stateDir, 'log')).map((name) =>
      readFileSync(join(cli.stateDir, 'log', name), 'utf8'),
    );
    expect(texts.join('')).not.toContain(cli.key());
  });

  test('says so when it was changed, with the number of integrity', async () => {
    await cli.run('backup', 'pg');
    await cli.run('backup', 'pg');
    const file = join(cli.stateDir, 'log', readdirSync(join(cli.stateDir, 'log'))[0] ?? '');
    const text = readFileSync(file, 'utf8');
    writeFileSync(file, text.replace('"volume":"pg"', '"volume":"xx"'));
    const changed = await cli.attempt(['log', '--verify']);
    expect(changed).toMatchObject({ exit: 6 });
    expect(changed.stdout).toContain('Entry 2 was changed or forged');
    writeFileSync(file, text.split('\n').slice(0, 1).join('\n') + '\n');
    const cut = await cli.attempt(['log', '--verify', '--format', 'json']);
    expect(cut.exit).toBe(6);
    expect(JSON.parse(cut.stdout)).toMatchObject({
      whole: false,
      problems: [{ message: 'Entries 2 to 3 were cut off' }],
    });
  });

  test('that cannot be written is a warning, and the backup is as good', async () => {
    const folder = join(cli.stateDir, 'log');
    renameSync(folder, `${folder}-aside`);
    writeFileSync(folder, 'no folder');
    const { exit, stderr } = await cli.attempt(['backup', 'pg']);
    expect(exit).toBe(0);
    expect(stderr).toMatch(/^Warning: Cannot write to the log in /m);
    rmSync(folder);
    renameSync(`${folder}-aside`, folder);
    await cli.run('backup', 'pg');
    expect(await cli.run('log', '--verify')).toContain('1 entry could not be written');
    expect(await cli.ids('pg')).toHaveLength(2);
  });

  test('refuses unknown kinds, and names the known ones', async () => {
    expect(await cli.attempt(['log', '--kind', 'nothing'])).toMatchObject({
      exit: 2,
      stderr: expect.stringContaining('volume-remove') as string,
    });
  });
});

describe('notifications', () => {
  let server: WebhookServer;
  beforeEach(async () => {
    server = await startWebhookServer();
  });
  afterEach(() => server[Symbol.asyncDispose]());

  const configure = (text: string): void => writeFileSync(join(cli.stateDir, 'holdfast.yaml'), text);
  const titles = (): unknown[] =>
    server.received.map(({ body }) => (JSON.parse(body) as { title: string }).title.replace(/ on \S+$/, ''));

  test('are sent when a backup fails and when it works again, once each', async () => {
    configure(`notify: { hook: { type: webhook, url: '${server.origin}/' } }`);
    const lost = join(cli.folder, 'lost');
    await cli.run('backup', 'pg');
    renameSync(cli.repository, lost);
    for (let i = 0; i < 3; i++) expect((await cli.attempt(['backup', 'pg'])).exit).not.toBe(0);
    renameSync(lost, cli.repository);
    await cli.run('backup', 'pg');
    await cli.run('backup', 'pg');
    expect(titles()).toEqual(['Backup of "pg" failed', 'Backup of "pg" works again']);
  });

  test('that cannot be sent leave the backup and its exit number as they are', async () => {
    configure(
      `notify: { hook: { type: webhook, url: 'http://127.0.0.1:1/', on: success, retry-for: 200ms } }`,
    );
    const { exit, stderr } = await cli.attempt(['backup', 'pg']);
    expect(exit).toBe(0);
    expect(stderr).toMatch(/^Warning: The notification over "hook" was not sent: Cannot reach 127.0.0.1:1/m);
    expect((await cli.json<Entry[]>('log', '--kind', 'notify'))[0]).toMatchObject({ outcome: 'failed' });
  });

  test('are tried by "notify test"', async () => {
    const closed = await closedPort();
    const secret = join(cli.folder, 'url');
    writeFileSync(secret, `${server.origin}/secret-path\n`);
    chmodSync(secret, 0o600);
    configure(`
notify:
  good: { type: slack, url: 'file:${secret}' }
  bad: { type: webhook, url: 'http://127.0.0.1:${closed}/', retry-for: 2s }
`);
    expect(await cli.run('notify', 'test', 'good')).toBe('good (slack): sent\n');
    expect(server.received[0]).toMatchObject({ path: '/secret-path' });
    const both = await cli.attempt(['notify', 'test']);
    expect(both.exit).toBe(3);
    expect(both.stdout).toMatch(/^bad \(webhook\): not sent.*: Cannot reach 127.0.0.1:\d+: ECONNREFUSED$/m);
    expect(await cli.attempt(['notify', 'test', 'x'])).toMatchObject({ exit: 4 });
    configure('');
    expect(await cli.attempt(['notify', 'test'])).toMatchObject({ exit: 4 });
  });
});
