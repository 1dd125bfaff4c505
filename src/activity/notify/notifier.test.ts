import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Catalog } from '../../catalog/catalog.ts';
import { AppError } from '../../model/errors.ts';
import { openSqliteCatalog } from '../../catalog/sqlite-catalog.ts';
import { readDocument } from '../../lib/read-document.ts';
import type { AuditLog } from '../log/audit-log.ts';
import { openAuditLog } from '../log/open-audit-log.ts';
import { channelsShape } from './channels-shape.ts';
import type { Happening, Notifier } from './notifier.ts';
import { openNotifier } from './open-notifier.ts';
import { startWebhookServer, type WebhookServer } from '../../../test/fixtures/webhook-server.ts';

let server: WebhookServer;
let catalog: Catalog;
let stateDir: string;
let log: AuditLog;
let warnings: string[];
let nowMs: number;

beforeEach(async () => {
  server = await startWebhookServer();
  catalog = openSqliteCatalog(':memory:');
  stateDir = mkdtempSync(join(tmpdir(), 'notify-'));
  nowMs = Date.parse('2026-01-31T12:00:00Z');
  warnings = [];
  log = openAuditLog({ stateDir, now: () => nowMs, env: {}, catalog: async () => catalog });
});
afterEach(async () => {
  await server[Symbol.asyncDispose]();
  catalog[Symbol.dispose]();
  rmSync(stateDir, { recursive: true, force: true });
});

interface Opening {
  readonly yaml: string;
  readonly env?: Record<string, string>;
  readonly closeMs?: number;
  readonly gatherMs?: number;
  readonly repository?: string;
}

function open({ yaml, env = {}, closeMs, gatherMs, repository }: Opening): Notifier {
  const channels = readDocument(yaml, channelsShape, 'h.yaml')?.value ?? [];
  return openNotifier({
    channels: async () => channels,
    hostname: 'nas',
    now: () => nowMs,
    env,
    catalog: async () => catalog,
    log,
    onWarning: (message) => void warnings.push(message),
    closeMs,
    gatherMs,
    repository,
  });
}

async function heard(count: number): Promise<void> {
  await vi.waitFor(() => expect(server.received).toHaveLength(count), 20_000);
}

/** Tells all happenings at once and closes. */
async function tell(opening: Opening, ...happenings: Happening[]): Promise<void> {
  await using notifier = open(opening);
  notifier.tell(happenings);
}

const failed: Happening = {
  what: 'failed',
  work: 'backup',
  subject: 'pg',
  fingerprint: 'full',
  message: 'Cannot back up "pg": the disk is full',
  hint: 'Make room.',
};
const good: Happening = {
  what: 'good',
  work: 'backup',
  subject: 'pg',
  message: '"pg" is saved',
  snapshot: 'ab'.repeat(32),
};

const hook = (rest = ''): Opening => ({
  yaml: `hook: { type: webhook, url: '${server.origin}/hook'${rest} }`,
});
const bodies = (): Record<string, unknown>[] =>
  server.received.map(({ body }) => JSON.parse(body) as Record<string, unknown>);

test('a failure is sent with all its details, its repetition is not, its end is', async () => {
  await tell(hook(), failed);
  await tell(hook(), failed);
  await tell(hook(), good);
  await tell(hook(), good);
  expect(bodies()).toMatchObject([
    {
      event: 'failure',
      title: 'Backup of "pg" failed on nas',
      host: 'nas',
      time: '2026-01-31T12:00:00.000Z',
      notices: [{ event: 'failure', subject: 'pg', code: 'full', hint: 'Make room.', count: 1, since: null }],
    },
    { event: 'recovery', title: 'Backup of "pg" works again on nas', notices: [{ count: 2 }] },
  ]);
  expect(warnings).toEqual([]);
});

test('a success in one repository does not end a failure in another', async () => {
  for (const happening of [failed, failed]) {
    await tell({ ...hook(), repository: 'offsite' }, happening);
    await tell({ ...hook(), repository: 'near' }, good);
  }
  expect(bodies()).toMatchObject([{ event: 'failure', repository: 'offsite' }]);
  await tell({ ...hook(), repository: 'offsite' }, good);
  expect(bodies()[1]).toMatchObject({ event: 'recovery', repository: 'offsite', notices: [{ count: 2 }] });
});

test('simultaneous notices are one message', async () => {
  const many = Array.from({ length: 200 }, (_, i): Happening => ({ ...failed, subject: `v${i}` }));
  await tell(hook(), ...many);
  expect(bodies()).toHaveLength(1);
  expect(bodies()[0]).toMatchObject({ title: '200 failures on nas' });
  expect(String(bodies()[0]?.['message'])).toMatch(/and 180 more$/);
});

test('an hour has ten messages at most, and the next hour says how many were held back', async () => {
  for (let i = 0; i < 15; i++) await tell(hook(), { ...failed, subject: `v${i}` });
  expect(bodies()).toHaveLength(10);
  expect(bodies()[9]?.['message']).toContain('what comes until it is over is held back');
  nowMs += 3_600_000;
  await tell(hook(), { ...failed, subject: 'v14' });
  expect(bodies()).toHaveLength(11);
  expect(bodies()[10]).toMatchObject({ notices: [{ subject: 'v14', count: 2 }] });
  expect(bodies()[10]?.['message']).toContain('5 more were held back before');
});

test('ten successes do not hold back a failure or a recovery in the same hour', async () => {
  const all = hook(`, on: [failure, success, recovery]`);
  for (let i = 0; i < 12; i++) await tell(all, { ...good, subject: `v${i}` });
  expect(bodies()).toHaveLength(10);
  await tell(all, failed);
  await tell(all, { ...failed, work: 'schedule', subject: 'all volumes', fingerprint: 'unavailable' });
  await tell(all, good);
  expect(bodies().slice(10)).toMatchObject([
    { event: 'failure', notices: [{ subject: 'pg' }] },
    { event: 'failure', notices: [{ subject: 'all volumes' }] },
    { event: 'recovery' },
  ]);
});

test('lesser notices are still sent when graver ones are held back', async () => {
  for (let i = 0; i < 11; i++) await tell(hook(), { ...failed, subject: `v${i}` });
  await tell(hook(), { ...failed, subject: 'x' }, { ...good, subject: 'v0' });
  expect(bodies().at(-1)).toMatchObject({ event: 'recovery', notices: [{ subject: 'v0' }] });
});

test('messages that did not arrive do not count toward the hourly limit', async () => {
  for (let i = 0; i < 12; i++) {
    server.answers.push(404);
    await tell(hook(), { ...failed, subject: `v${i}` });
  }
  await tell(hook(), failed);
  expect(bodies()).toHaveLength(13);
});

test.each([
  ['webhook', ''],
  ['ntfy', ''],
  ['discord', ''],
  ['slack', ''],
  ['healthchecks', ''],
  ['webhook', `, body: '{"text": "{detail}"}'`],
])("the engine's own reason is in what a channel of the type %s gets%s", async (type, rest) => {
  const detail = 'driver failed programming external connectivity: port 80 is taken (password=hunter2)';
  const yaml = `c: { type: ${type}, url: '${server.origin}/c'${rest} }`;
  await tell({ yaml }, { ...failed, detail });
  const [received] = server.received;
  expect(received?.body).toContain('port 80 is taken');
  expect(received?.body).not.toContain('hunter2');
});

test("a list shows the first line of each failure's own reason", async () => {
  const detail = 'no such host\nat line 3';
  await tell(hook(), { ...failed, detail }, { ...failed, subject: 'web' });
  expect(String(bodies()[0]?.['message'])).toContain('the disk is full: no such host\n- Backup of "web"');
});

test('a channel gets its own volumes, policies and events only', async () => {
  const yaml = `
a: { type: webhook, url: '${server.origin}/a', volumes: 'web-*' }
b: { type: webhook, url: '${server.origin}/b', policies: nightly }
c: { type: webhook, url: '${server.origin}/c', on: success }
`;
  await tell(
    { yaml },
    failed,
    { ...failed, subject: 'web-1' },
    { ...good, subject: 'x', policy: 'nightly' },
    { ...failed, subject: 'y', policy: 'nightly' },
  );
  const told = server.received.map(({ path, body }) => [
    path,
    (JSON.parse(body) as { notices: { subject: string }[] }).notices.map(({ subject }) => subject),
  ]);
  expect(told.sort(([a], [b]) => (String(a) < String(b) ? -1 : 1))).toEqual([
    ['/a', ['web-1']],
    ['/b', ['y']],
    ['/c', ['x']],
  ]);
});

test('templates define what is sent, and headers may be secrets', async () => {
  const yaml = `
hook:
  type: webhook
  url: env:URL
  method: PUT
  headers: { X-Token: env:TOKEN }
  title: 'Oh: {volume}'
  body: '{"t": "{title}", "m": "{message}", "h": {"n": "{host}"}}'
`;
  const message = 'a "quoted"\nname';
  await tell({ yaml, env: { URL: `${server.origin}/put`, TOKEN: 's3cret' } }, { ...failed, message });
  expect(server.received[0]).toMatchObject({ method: 'PUT', path: '/put', headers: { 'x-token': 's3cret' } });
  expect(bodies()[0]).toEqual({
    t: 'Oh: pg',
    m: expect.stringContaining('a "quoted"\nname.') as string,
    h: { n: 'nas' },
  });
});

describe('each service gets its own format:', () => {
  test('Discord, without mentioning anyone', async () => {
    const long = { ...failed, subject: `@everyone${'x'.repeat(400)}`, message: 'm'.repeat(9000) };
    await tell({ yaml: `d: { type: discord, url: '${server.origin}/api/webhooks/1/abc' }` }, long);
    const { embeds, allowed_mentions } = bodies()[0] as {
      embeds: { title: string; description: string }[];
      allowed_mentions: unknown;
    };
    expect(allowed_mentions).toEqual({ parse: [] });
    expect(embeds[0]?.title.length).toBe(256);
    expect(embeds[0]?.description.length).toBe(4096);
  });

  test('Slack, with its special characters escaped', async () => {
    await tell(
      { yaml: `s: { type: slack, url: '${server.origin}/services/T/B/x' }` },
      { ...failed, message: '<!channel> & co' },
    );
    expect(bodies()[0]?.['text']).toMatch(/^\*Backup of "pg" failed on nas\*\n&lt;!channel&gt; &amp; co\./);
  });

  test('ntfy, with its topic in the body and a token', async () => {
    const yaml = `n: { type: ntfy, url: '${server.origin}/sub/my-topic', token: env:T }`;
    await tell({ yaml, env: { T: 'tk_x' } }, { ...failed, subject: 'données' });
    expect(server.received[0]).toMatchObject({ path: '/sub/', headers: { authorization: 'Bearer tk_x' } });
    expect(bodies()[0]).toMatchObject({
      topic: 'my-topic',
      title: 'Backup of "données" failed on nas',
      priority: 4,
    });
  });

  test('a watch, with every start, end and failure, repeated or not', async () => {
    const yaml = `w: { type: healthchecks, url: '${server.origin}/ping/uuid' }`;
    for (const happening of [good, failed, failed]) {
      await using notifier = open({ yaml });
      using _run = notifier.begin({ subjects: ['pg'], policy: undefined });
      notifier.tell([happening]);
    }
    expect(server.received.map(({ path }) => path)).toEqual([
      '/ping/uuid/start',
      '/ping/uuid',
      '/ping/uuid/start',
      '/ping/uuid/fail',
      '/ping/uuid/start',
      '/ping/uuid/fail',
    ]);
    expect(server.received[3]?.body).toContain('the disk is full');
  });

  test('a push monitor of Uptime Kuma, up after a good end and down after a failure', async () => {
    const yaml = `w: { type: uptime-kuma, url: '${server.origin}/api/push/tok?status=up&msg=OK&ping=' }`;
    for (const happening of [good, failed]) {
      await using notifier = open({ yaml });
      using _run = notifier.begin({ subjects: ['pg'], policy: undefined });
      notifier.tell([happening]);
    }
    expect(server.received.map(({ method }) => method)).toEqual(['GET', 'GET']);
    const [up, down] = server.received.map(({ path }) => new URL(path, server.origin).searchParams);
    expect(up?.get('status')).toBe('up');
    expect(down?.getAll('status')).toEqual(['down']);
    expect(down?.get('msg')).toContain('the disk is full');
  });

  test('a watch for other work, volumes or policies gets no start', async () => {
    const yaml = `
a: { type: healthchecks, url: '${server.origin}/a', works: [verify] }
b: { type: healthchecks, url: '${server.origin}/b', volumes: web }
c: { type: healthchecks, url: '${server.origin}/c', policies: nightly }
`;
    for (const policy of [undefined, 'nightly']) {
      await using notifier = open({ yaml });
      using _run = notifier.begin({ subjects: ['pg'], policy });
      notifier.tell([{ ...good, policy }]);
    }
    expect(server.received.map(({ path }) => path)).toEqual(['/c/start', '/c']);
  });

  test('a watch gets one ping for a run, a failure when any of its volumes failed', async () => {
    const yaml = `w: { type: healthchecks, url: '${server.origin}/w' }`;
    await using notifier = open({ yaml, gatherMs: 1 });
    {
      using _run = notifier.begin({ subjects: ['pg', 'web'], policy: undefined });
      notifier.tell([failed]);
      await sleep(50);
      notifier.tell([{ ...good, subject: 'web' }]);
      await sleep(50);
    }
    await heard(2);
    expect(server.received.map(({ path }) => path)).toEqual(['/w/start', '/w/fail']);
    expect(server.received[1]?.body).toContain('the disk is full');
    // Another job of the same daemon.
    {
      using _run = notifier.begin({ subjects: ['web'], policy: undefined });
      notifier.tell([{ ...good, subject: 'web' }]);
    }
    await heard(4);
    expect(server.received[3]?.path).toBe('/w/fail');
    expect(server.received[3]?.body).toContain('Before, and not good since: pg:');
    {
      using _run = notifier.begin({ subjects: ['pg'], policy: undefined });
      notifier.tell([good]);
    }
    await heard(6);
    expect(server.received[5]?.path).toBe('/w');
  });

  test('a watch takes a recovery for a success only after it was sent the failure', async () => {
    const yaml = `w: { type: healthchecks, url: '${server.origin}/w', works: [backup, schedule] }`;
    const seen: Happening = {
      ...{ what: 'good', onlyRecovery: true, work: 'schedule', subject: 'all volumes' },
      message: 'The volumes can be listed again',
    };
    await using notifier = open({ yaml, gatherMs: 1 });
    notifier.tell([seen]);
    await sleep(50);
    expect(server.received).toEqual([]);
    notifier.tell([{ ...seen, what: 'failed', onlyRecovery: undefined, fingerprint: 'unavailable' }]);
    await heard(1);
    notifier.tell([seen]);
    await heard(2);
    expect(server.received.map(({ path }) => path)).toEqual(['/w/fail', '/w']);
  });

  test('a watch gets an end for a run that was stopped', async () => {
    const yaml = `
all: { type: healthchecks, url: '${server.origin}/all' }
each: { type: healthchecks, url: '${server.origin}/each/{volume}' }
`;
    {
      await using notifier = open({ yaml });
      using _run = notifier.begin({ subjects: ['pg', 'web'], policy: undefined });
      notifier.tell([good]);
    }
    expect(server.received.map(({ path }) => path).toSorted()).toEqual(
      [
        '/all/start',
        '/each/pg/start',
        '/each/web/start',
        '/each/pg',
        '/each/web/fail',
        '/all/fail',
      ].toSorted(),
    );
    // The stopped run leaves nothing behind: the next good one is good.
    {
      await using notifier = open({ yaml });
      using _run = notifier.begin({ subjects: ['web'], policy: undefined });
      notifier.tell([{ ...good, subject: 'web' }]);
    }
    expect(server.received.at(-1)?.path).toMatch(/^\/(all|each\/web)$/);
  });

  test('a watch for each volume', async () => {
    const yaml = `w: { type: healthchecks, url: '${server.origin}/ping/key/{volume}' }`;
    await tell({ yaml }, good, { ...failed, subject: '/srv/My Data' }, { ...good, work: 'drill' });
    expect(server.received.map(({ path }) => path)).toEqual(['/ping/key/pg', '/ping/key/srv-my-data/fail']);
  });
});

describe('a channel that fails', () => {
  test('is retried after the delay that the server asks for', async () => {
    server.answers.push(503, { status: 429, headers: { 'retry-after': '1' } });
    const startedMs = performance.now();
    await tell(hook(), failed);
    expect(server.received).toHaveLength(3);
    expect(performance.now() - startedMs).toBeGreaterThan(1300);
    expect(warnings).toEqual([]);
  });

  test('gets its notices in their order: the end of a run after its start has arrived', async () => {
    server.answers.push(503);
    {
      await using notifier = open({
        yaml: `w: { type: healthchecks, url: '${server.origin}/w' }`,
        gatherMs: 1,
      });
      using _run = notifier.begin({ subjects: ['pg'], policy: undefined });
      notifier.tell([good]);
    }
    expect(server.received.map(({ path }) => path)).toEqual(['/w/start', '/w/start', '/w']);
  });

  test('does not hammer a server that asks for a delay longer than any timer', async () => {
    server.answers.push(
      ...Array.from({ length: 9 }, () => ({ status: 503, headers: { 'retry-after': '1e12' } })),
    );
    await tell(hook(', retry-for: 3s'), failed);
    expect(server.received).toHaveLength(1);
  });

  test('is sent also where it may be retried for longer than any timer runs', async () => {
    await tell(hook(', retry-for: 30d'), failed);
    expect(warnings).toEqual([]);
    expect(server.received).toHaveLength(1);
  });

  test('is not retried after a permanent error, is logged, and the failure is sent again later', async () => {
    server.answers.push({ status: 404, body: 'no such hook' });
    await tell(hook(), failed);
    expect(server.received).toHaveLength(1);
    expect(warnings).toEqual([
      expect.stringMatching(
        /^The notification over "hook" was not sent: 127.0.0.1:\d+ answered 404: no such hook$/,
      ),
    ]);
    expect(await log.list({})).toMatchObject([{ kind: 'notify', outcome: 'failed', message: warnings[0] }]);
    await tell(hook(), failed);
    expect(bodies()[1]).toMatchObject({ notices: [{ count: 2 }] });
  });

  test('does not delay other channels or the caller', async () => {
    server.answers.push('hang', 200);
    const yaml = `
a: { type: webhook, url: '${server.origin}/a', retry-for: 300ms }
b: { type: webhook, url: 'http://127.0.0.1:1/b', retry-for: 300ms }
c: { type: webhook, url: '${server.origin}/c' }
`;
    const startedMs = performance.now();
    await tell({ yaml }, failed);
    expect(performance.now() - startedMs).toBeLessThan(15_000);
    expect(server.received.map(({ path }) => path).sort()).toEqual(['/a', '/c']);
    expect(warnings.join('\n')).toMatch(
      /"a" was not sent[^]*|[^]*"b" was not sent: Cannot reach 127.0.0.1:1/,
    );
    expect(warnings).toHaveLength(2);
  });

  test('is given up when the program ends', async () => {
    server.answers.push('hang');
    const startedMs = performance.now();
    await tell({ ...hook(), closeMs: 200 }, failed);
    expect(performance.now() - startedMs).toBeLessThan(15_000);
    expect(warnings).toHaveLength(1);
  });

  test('never shows its secrets', async () => {
    const url = `${server.origin}/services/T0/B0/hunter2hunter2`;
    server.answers.push({ status: 403, body: `invalid: ${url} hunter2hunter2` });
    await tell({ yaml: 's: { type: slack, url: env:URL }', env: { URL: url } }, failed);
    const shown = JSON.stringify([warnings, await log.list({})]);
    expect(shown).toContain('answered 403');
    expect(shown).not.toContain(url);
  });

  test.each(['written out', 'by reference'])('never shows the key in its address, %s', async (how) => {
    const url = `${server.origin}/api/push/hunter2%20hunter2?token=s3cr3tt0ken`;
    const told = '/api/push/hunter2%20hunter2 /api/push/hunter2 hunter2 ?token=s3cr3tt0ken ';
    server.answers.push({ status: 404, body: `Cannot POST ${told.repeat(6)}` });
    const env = { URL: url };
    await tell(
      { yaml: `s: { type: slack, url: '${how === 'by reference' ? 'env:URL' : url}' }`, env },
      failed,
    );
    const shown = JSON.stringify([warnings, await log.list({})]);
    expect(shown).toContain('answered 404: Cannot POST');
    expect(shown).not.toMatch(/hunter2|s3cr3t/);
  });

  test('never shows the key in an address with a password, which cannot be sent', async () => {
    const url = `${server.origin.replace('://', '://me:hunter2hunter2@')}/api/push/s3cr3tt0ken`;
    await tell({ yaml: `s: { type: slack, url: '${url}' }` }, failed);
    const shown = JSON.stringify([warnings, await log.list({})]);
    expect(shown).toContain('a user name or a password');
    expect(shown).not.toMatch(/hunter2|s3cr3t/);
    expect(server.received).toEqual([]);
  });

  test('reports that its secret cannot be read', async () => {
    await tell({ yaml: 's: { type: slack, url: env:MISSING }' }, failed);
    expect(warnings[0]).toMatch(/"s" was not sent: .*env:MISSING/);
  });

  test('does not follow a redirect', async () => {
    server.answers.push({ status: 302, headers: { location: `${server.origin}/other` } });
    await tell(hook(), failed);
    expect(server.received).toHaveLength(1);
    expect(warnings[0]).toContain('answered 302');
  });
});

test('without channels, nothing is recorded and nothing is slow', async () => {
  await tell({ yaml: '{}' }, failed);
  expect(catalog.findNotice('failure backup pg')).toBeUndefined();
});

test('a configuration that cannot be read is a warning', async () => {
  await using notifier = openNotifier({
    channels: () => Promise.reject(new Error('line 3')),
    hostname: 'nas',
    now: () => nowMs,
    env: {},
    catalog: async () => catalog,
    log,
    onWarning: (message) => void warnings.push(message),
  });
  notifier.tell([failed]);
  await notifier[Symbol.asyncDispose]();
  expect(warnings[0]).toContain('What happened could not be reported');
});

test('a catalog on a full disk does not prevent a message', async () => {
  catalog.saveNotice = () => {
    throw new AppError('full', 'The disk is full');
  };
  await tell(hook(), failed);
  expect(bodies()).toMatchObject([{ event: 'failure' }]);
  expect(warnings[0]).toBe('It is not remembered what was told: The disk is full');
});

test('a test is sent over one channel or all of them', async () => {
  server.answers.push(200, 200, 500);
  const yaml = `
a: { type: webhook, url: '${server.origin}/a' }
w: { type: healthchecks, url: '${server.origin}/w' }
bad: { type: webhook, url: '${server.origin}/bad', retry-for: 100ms }
`;
  await using notifier = open({ yaml });
  expect(await notifier.test('a')).toEqual([
    { channel: 'a', type: 'webhook', isSent: true, attempts: 1, message: undefined },
  ]);
  expect(await notifier.test('w')).toMatchObject([{ isSent: true }]);
  expect(await notifier.test('bad')).toMatchObject([{ isSent: false }]);
  await expect(notifier.test('nobody')).rejects.toThrow('There is no channel "nobody"');
  expect(await notifier.test(undefined)).toHaveLength(3);
});
