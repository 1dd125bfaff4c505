import { expect, test } from 'vitest';
import { memoryContainers } from '../../../test/fixtures/containers.ts';
import { someSnapshot } from '../../../test/fixtures/some-snapshot.ts';
import { AppError } from '../../model/errors.ts';
import { localTime } from '../../model/local-time.ts';
import type { Policies } from '../../policies/index.ts';
import { diagnoseHoldfast, type OwnParts } from './own-health.ts';

const nowMs = Date.parse('2026-03-01T12:00:00Z');
const gib = 1 << 30;

/** Of one that is well. */
function parts(changed: Partial<OwnParts> = {}): OwnParts {
  const repository = {
    name: 'main',
    location: '/srv/backups',
    repositoryId: 'a',
    passwordReference: 'file:/etc/holdfast.key',
    isDefault: true,
  };
  return {
    stateDir: '/var/lib/holdfast',
    now: () => nowMs,
    repositories: {
      list: async () => [repository],
      check: async () => [
        { ...repository, snapshots: 1, newest: undefined, durationMs: 1, error: undefined },
      ],
      listKeys: async () => [],
    },
    policies: { nextRuns: async () => ({ daemon: undefined, runs: [] }) },
    snapshots: { list: async () => [] },
    recovered: async () => ({ jobs: [], hooks: [], elsewhere: 0 }),
    ...changed,
  };
}

async function idsOf(own: OwnParts, freeBytes = gib): Promise<string[]> {
  const room = { type: 'ext4', totalBytes: 10 * gib, freeBytes, totalInodes: 0, freeInodes: 0 };
  const answers = new Map([['/srv/backups', { kind: 'room', room } as const]]);
  const { findings } = await diagnoseHoldfast(own, { containers: memoryContainers(), answers }, undefined);
  return findings.map(({ id }) => id);
}

test('one that is well has no findings', async () => {
  expect(await idsOf(parts())).toEqual([]);
});

test('its own snapshots from the future show that a clock is wrong', async () => {
  const saved = { ...someSnapshot({ id: 'a', time: '2026-03-01T12:30:00Z' }), isOwn: true };
  expect(await idsOf(parts({ snapshots: { list: async () => [saved] } }))).toEqual(['HF-D094']);
  const early = { ...saved, time: '2026-03-01T12:01:00Z' };
  expect(await idsOf(parts({ snapshots: { list: async () => [early] } }))).toEqual([]);
});

test('what is printed for a clock that is wrong removes no backup, which may be the newest good one', async () => {
  const saved = { ...someSnapshot({ id: 'a', time: '2026-03-01T12:30:00Z' }), isOwn: true };
  const { findings } = await diagnoseHoldfast(
    parts({ snapshots: { list: async () => [saved] } }),
    { containers: memoryContainers(), answers: new Map() },
    undefined,
  );
  expect(findings[0]?.commands.at(-1)).toEqual(['holdfast', 'forget', '--dry-run', 'a']);
});

test('a repository with less room than the last backups took is told of', async () => {
  const summary = { ...emptySummary, bytesStored: 2 * gib };
  const saved = { ...someSnapshot({ id: 'a', time: '2026-02-01T12:00:00Z' }), summary, isOwn: true };
  expect(await idsOf(parts({ snapshots: { list: async () => [saved] } }))).toEqual(['HF-D095']);
  expect(await idsOf(parts({ snapshots: { list: async () => [saved] } }), 3 * gib)).toEqual([]);
});

const emptySummary = {
  ...{ files: 0, directories: 0, others: 0, bytes: 0, filesNew: 0, filesChanged: 0, filesUnmodified: 0 },
  ...{ bytesAdded: 0, bytesStored: 0, durationMs: 1 },
};

test('a daemon that has left runs undone for an hour is behind, and not one that is at work or has just come to them', async () => {
  const policies = (
    undoneSince: string | undefined,
    state: 'scheduled' | 'due' | 'retry',
    attempts: number,
  ): Pick<Policies, 'nextRuns'> => ({
    nextRuns: async () => ({
      daemon: { pid: 7, since: '2026-03-01T00:00:00Z' },
      runs: [
        // A time that is due again and again is always a recent one.
        {
          ...{ time: '2026-03-01T12:00:00Z', state, action: 'backup', policy: 'p', repository: '' },
          ...{ name: 'pg', attempts, undoneSince },
        },
      ],
    }),
  });
  const ids = async (...run: Parameters<typeof policies>): Promise<string[]> =>
    await idsOf(parts({ policies: policies(...run) }));
  expect(await ids('2026-03-01T10:00:00Z', 'due', 0)).toEqual(['HF-D093']);
  expect(await ids('2026-03-01T10:00:00Z', 'retry', 3)).toEqual(['HF-D093']);
  expect(await ids('2026-03-01T10:00:00Z', 'due', 1)).toEqual([]);
  expect(await ids('2026-02-28T10:00:00Z', 'due', 1)).toEqual(['HF-D093']);
  expect(await ids('2026-03-01T11:59:00Z', 'due', 0)).toEqual([]);
  expect(await ids(undefined, 'scheduled', 0)).toEqual([]);
});

test('without a daemon, what is due next is told with its time', async () => {
  const run = {
    time: '2026-03-01T12:00:00.000Z',
    state: 'scheduled',
    action: 'backup',
    policy: 'p',
  } as const;
  const policies: Pick<Policies, 'nextRuns'> = {
    nextRuns: async () => ({
      daemon: undefined,
      runs: [{ ...run, repository: '', name: 'pg', attempts: 0, undoneSince: undefined }],
    }),
  };
  const { findings } = await diagnoseHoldfast(
    parts({ policies }),
    { containers: memoryContainers(), answers: new Map() },
    undefined,
  );
  expect(findings[0]?.evidence).toEqual([`"p": backup of "pg" at ${localTime(run.time)}`]);
});

test('what an interrupted work has left undone is told of', async () => {
  const recovered = async () => ({ jobs: [], hooks: [], elsewhere: 2 });
  expect(await idsOf(parts({ recovered }))).toEqual(['HF-D097']);
});

test('what cannot be looked at is said, and does not hide the rest', async () => {
  const own = parts({
    policies: { nextRuns: async () => Promise.reject(new AppError('denied', 'no entry')) },
    recovered: async () => ({ jobs: [], hooks: [], elsewhere: 1 }),
  });
  const about = { containers: undefined, answers: new Map() };
  expect(await diagnoseHoldfast(own, about, undefined)).toMatchObject({
    findings: [{ id: 'HF-D097' }],
    notLookedAt: [{ subject: 'the daemon', reason: 'no entry' }],
  });
});
