import { expect, test } from 'vitest';
import type { LogEntry } from '../../model/log-entry.ts';
import type { Volume } from '../../model/volume.ts';
import { cronOutcomes } from './cron-outcomes.ts';
import { parseCron } from './units.ts';

const nowMs = new Date(2026, 2, 2, 12).getTime();
const hourMs = 60 * 60_000;

/** What is found of a table of the system, by what was logged so many hours ago. */
async function found(
  line: string,
  saved: readonly (readonly [hoursAgo: number, volume: string, outcome: LogEntry['outcome']])[],
  {
    changedHoursAgo = 1000,
    stateDir = '/var/lib/holdfast',
    volumes = [],
  }: {
    readonly changedHoursAgo?: number;
    readonly stateDir?: string;
    readonly volumes?: readonly Volume[];
  } = {},
): Promise<string[]> {
  const entries = parseCron(line, '/etc/cron.d/x', true).map((entry) => ({
    ...entry,
    changedMs: nowMs - changedHoursAgo * hourMs,
  }));
  const all = saved.map(([hoursAgo, volume, outcome], index): LogEntry => ({
    ...{ kind: 'backup', outcome, volume, message: `${outcome}: ${volume}` },
    ...{ sequence: index + 1, time: new Date(nowMs - hoursAgo * hourMs).toISOString() },
    ...{ by: 'root', previous: '', mac: '' },
  }));
  const log = {
    list: async ({ sinceMs = 0 }: { readonly sinceMs?: number | undefined }) =>
      all.filter(({ time }) => Date.parse(time) >= sinceMs),
  };
  const findings = await cronOutcomes(entries, { log, volumes, stateDir, nowMs });
  return findings.map(({ id, message, evidence }) => `${id} ${message}: ${evidence.join('; ')}`);
}

const nightly = '0 3 * * * root holdfast backup --all';

test('an entry of cron whose backup failed at its last time is told of with the volume and the reason', async () => {
  const [failed = '', ...others] = await found(nightly, [
    [9, 'db', 'failed'],
    [8.9, 'web', 'good'],
  ]);
  expect(others).toEqual([]);
  expect(failed).toMatch(
    /^HF-D099 Line 1 of "\/etc\/cron.d\/x" saves, and .* has failed: .*"db": failed: db$/,
  );
});

test('a backup that failed is well when the same volume was saved since, and when it was saved at all', async () => {
  expect(
    await found(nightly, [
      [9, 'db', 'failed'],
      [2, 'db', 'good'],
    ]),
  ).toEqual([]);
  expect(await found(nightly, [[9, 'db', 'good']])).toEqual([]);
  expect(await found(nightly, [[9, 'db', 'partial']])).toEqual([]);
});

function volume(name: string, stack?: string): Volume {
  const given = { driver: 'local', mountpoint: undefined, createdAt: undefined, labels: {}, options: {} };
  return { ...given, name, scope: 'local', anonymous: false, stack, consumers: [] };
}

test('a backup of all volumes, or of a stack, that came to none of them is well when each was saved since', async () => {
  const volumes = [volume('db', 'shop'), volume('web', 'shop'), volume('cache')];
  const failedAll = [9, 'all volumes', 'failed'] as const;
  const [saidOfAll = ''] = await found(nightly, [failedAll, [2, 'db', 'good'], [2, 'web', 'good']], {
    volumes,
  });
  expect(saidOfAll).toContain('"all volumes"');
  const saved = [
    [2, 'db', 'good'],
    [2, 'web', 'partial'],
    [2, 'cache', 'good'],
  ] as const;
  expect(await found(nightly, [failedAll, ...saved], { volumes })).toEqual([]);
  // Where the engine does not answer, nothing is known of its volumes.
  expect(await found(nightly, [failedAll, ...saved])).toHaveLength(1);
  const ofStack = '0 3 * * * root holdfast backup --stack shop';
  const failedStack = [9, 'shop', 'failed'] as const;
  expect(await found(ofStack, [failedStack, [2, 'db', 'good']], { volumes })).toHaveLength(1);
  expect(await found(ofStack, [failedStack, [2, 'db', 'good'], [2, 'web', 'good']], { volumes })).toEqual([]);
});

test('a volume that failed is not well since others were saved, of a stack that has its name', async () => {
  const volumes = [volume('shop'), volume('shop_db', 'shop')];
  const logged = [
    [9, 'shop', 'failed'],
    [8.9, 'shop_db', 'good'],
  ] as const;
  expect(await found(nightly, logged, { volumes })).toHaveLength(1);
  expect(await found(nightly, [...logged, [2, 'shop', 'good']], { volumes })).toEqual([]);
});

test('what failed before it was taken out of the line is no longer told of', async () => {
  const entries = [
    [9, 'db', 'failed'],
    [9, 'gone', 'failed'],
    [2, 'db', 'good'],
  ] as const;
  expect(await found('0 3 * * * root holdfast backup db gone', entries, { changedHoursAgo: 3 })).toHaveLength(
    1,
  );
  expect(await found('0 3 * * * root holdfast backup db', entries)).toHaveLength(1);
  expect(await found('0 3 * * * root holdfast backup db', entries, { changedHoursAgo: 3 })).toEqual([]);
  // What these save is not known by their words.
  for (const line of ['holdfast backup -a', 'holdfast backup -qa', 'cat list | xargs holdfast backup'])
    expect(await found(`0 3 * * * root ${line}`, entries, { changedHoursAgo: 3 })).toHaveLength(1);
});

test('a backup that failed at another time than cron’s is not the entry’s', async () => {
  expect(
    await found(nightly, [
      [9, 'db', 'good'],
      [1, 'web', 'failed'],
    ]),
  ).toEqual([]);
});

test('an entry after whose last time nothing is in the log is told of, and not before it had a time', async () => {
  const [silent = ''] = await found(nightly, [[33, 'db', 'good']]);
  expect(silent).toContain('no backup is in the log since its last time');
  expect(await found(nightly, [], { changedHoursAgo: 5 })).toEqual([]);
});

test('an entry with a condition is not missed, and is told of when it failed', async () => {
  for (const condition of ['[ $(date +\\%d) -le 7 ] &&', 'test -d /run/systemd/system ||']) {
    const line = nightly.replace('root', `root ${condition}`);
    expect(await found(line, [])).toEqual([]);
    expect(await found(line, [[9, 'db', 'failed']])).toHaveLength(1);
  }
  expect(await found(nightly.replace('root', 'root cd /srv &&'), [])).toHaveLength(1);
});

test('of what a command runs in a container, on another machine or as another user, nothing is said', async () => {
  for (const program of ['docker exec app', 'ssh nas', 'su me -c', 'cd /srv && sudo -u me'])
    expect(await found(nightly.replace('root', `root ${program}`), [])).toEqual([]);
});

test('of what keeps its state elsewhere, and of other commands, nothing is said', async () => {
  expect(await found(nightly.replace('root', 'me'), [])).toEqual([]);
  expect(await found(nightly, [], { stateDir: '/srv/state' })).toEqual([]);
  expect(await found('0 3 * * * root holdfast --state-dir=/srv/a backup db', [])).toEqual([]);
  expect(await found('0 3 * * * root holdfast prune', [])).toEqual([]);
  expect(await found('0 3 * * * root holdfast check --repo backup', [])).toEqual([]);
  expect(await found('0 3 * * * root /usr/bin/holdfast --host docker backup db', [])).toHaveLength(1);
  expect(await found('@reboot root holdfast backup --all', [])).toEqual([]);
  const set = 'HOLDFAST_STATE_DIR=/srv/state\n0 3 * * * me holdfast backup db';
  expect(await found(set, [], { stateDir: '/srv/state' })).toHaveLength(1);
});
