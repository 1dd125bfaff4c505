import { describe, expect, test } from 'vitest';
import { configurationShape } from './configuration/configuration.ts';
import { readDocument } from '../lib/read-document.ts';
import { settingsOfLabels } from '../backup/settings/settings-of-labels.ts';
import { planTasks } from './daemon.ts';
import { someSubject } from '../../test/fixtures/fake-work.ts';
import { type DueTask, planDue, settledCursor } from './plan-due.ts';
import { chooseJobs, groupJobs, type Job, type RunningJob, withRestOfStacks } from './plan-jobs.ts';
import type { PolicyCursor } from '../model/policy-run.ts';
import type { Subject } from './subject.ts';

function dueAll(policies: string, subjects: readonly Subject[]): readonly DueTask[] {
  const configuration = readDocument(`policies: { ${policies} }`, configurationShape, 'h')?.value;
  if (configuration === undefined) throw new Error('nothing');
  const tasks = planTasks(configuration, subjects, { defaultRepository: 'main' });
  const long = new Map(tasks.map((task) => [task.key, settledCursor(task, 0)]));
  return planDue(tasks, long, nowMs).due;
}

const names = (jobs: readonly Job[]): string[] =>
  jobs.map(
    ({ action, repository, tasks }) =>
      `${action} ${repository} ${tasks.map(({ task }) => task.subject?.name ?? '').join('+')}`,
  );

const nowMs = Date.parse('2026-03-15T12:00:00Z');

function begun(job: Job, beganMs: number): RunningJob {
  return { ...job, beganMs };
}

const shop = [someSubject('db', { stack: 'shop' }), someSubject('files', { stack: 'shop' })];
const alone = [someSubject('web'), someSubject('media')];

test('volumes of a stack are saved together, others by themselves; each repository for itself', () => {
  const jobs = groupJobs(
    dueAll(`p: { schedule: '@daily', repositories: [main, offsite] }`, [...shop, ...alone]),
  );
  expect(names(jobs).toSorted()).toEqual([
    'backup main db+files',
    'backup main media',
    'backup main web',
    'backup offsite db+files',
    'backup offsite media',
    'backup offsite web',
  ]);
});

test('a volume of a stack with other settings is saved by itself', () => {
  const [db, files] = shop;
  if (db === undefined || files === undefined) throw new Error('no shop');
  const stopped = { ...db, settings: { ...db.settings, consistency: 'stop' as const } };
  const jobs = groupJobs(dueAll(`p: { schedule: '@daily' }`, [stopped, files]));
  expect(names(jobs).toSorted()).toEqual(['backup main db', 'backup main files']);
});

describe('a volume that is retried', () => {
  const due = dueAll(`p: { schedule: '@daily' }`, [...shop, ...alone]);
  const tasks = due.map(({ task }) => task);
  const again = (name: string): DueTask[] =>
    due.flatMap((one) => (one.task.subject?.name === name ? [{ ...one, attempts: 1 }] : []));
  const cursorsOf = (at: (one: DueTask) => PolicyCursor): Map<string, PolicyCursor> =>
    new Map(due.map((one) => [one.task.key, at(one)]));
  const settled = cursorsOf((one) => settledCursor(one.task, one.dueMs));

  test('takes along what its stack has done for that time, and nothing else', () => {
    const together = withRestOfStacks(again('db'), tasks, { cursors: settled, nowMs });
    expect(names(groupJobs(together))).toEqual(['backup main db+files']);
    expect(together.map(({ isAlong = false }) => isAlong)).toEqual([false, true]);
    const single = withRestOfStacks(again('web'), tasks, { cursors: settled, nowMs });
    expect(names(groupJobs(single))).toEqual(['backup main web']);
  });

  test('takes along one that waits for a later retry, as its retry', () => {
    const cursors = cursorsOf((one) => ({
      ...settledCursor(one.task, one.dueMs - 1000),
      dueAt: new Date(one.dueMs).toISOString(),
      attempts: 2,
      retryAt: new Date(nowMs + 1000).toISOString(),
    }));
    const [, files] = withRestOfStacks(again('db'), tasks, { cursors, nowMs });
    expect(files).toMatchObject({ isAlong: false, attempts: 2, task: { subject: { name: 'files' } } });
  });
});

test('one job at a time for each volume, and a bounded number in all', () => {
  const jobs = groupJobs(dueAll(`p: { schedule: '@daily', repositories: [main, offsite] }`, alone));
  const [first, ...rest] = chooseJobs(jobs, [], { parallel: 2, nowMs });
  expect(rest).toHaveLength(1);
  expect(first?.subjects).not.toEqual(rest[0]?.subjects);
  const running = [first, ...rest].flatMap((job) => (job === undefined ? [] : [begun(job, nowMs)]));
  const none = chooseJobs(jobs, running, { parallel: 2, nowMs });
  expect(none).toEqual([]);
});

describe('a job that removes data', () => {
  const minuteMs = 60_000;
  const due = dueAll(`p: { schedule: '@hourly', keep: { last: 1 }, repositories: [main, offsite] }`, alone);
  const jobs = groupJobs(due);
  // Its turn came now.
  const sinceMs = nowMs - 10 * minuteMs;
  const prune = jobs.filter(({ action }) => action === 'prune').map((job) => ({ ...job, sinceMs }));
  const [first, ...later] = jobs.filter(({ action }) => action === 'backup');
  if (first === undefined) throw new Error('no backup');
  const others = later.filter(({ subjects }) => !subjects.some((one) => first.subjects.includes(one)));
  const choose = (running: readonly RunningJob[], minutes: number): string[] =>
    names(chooseJobs([...prune, ...others], running, { parallel: 9, nowMs: nowMs + minutes * minuteMs }));

  test('runs alone in its repository', () => {
    expect(choose([], 0)).toEqual(['prune main ', 'prune offsite ']);
    expect(choose([begun(first, nowMs)], 0)).toContain('prune offsite ');
    expect(choose([begun(first, nowMs)], 0)).not.toContain('prune main ');
  });

  test('lets others begin while it waits for a backup, however long that takes', () => {
    expect(choose([begun(first, nowMs)], 1)).toContain('backup main media');
    expect(choose([begun(first, nowMs)], 48 * 60)).toContain('backup main media');
  });

  test('is not overtaken for ever by backups that begin one after the other', () => {
    const overtook = begun(first, nowMs + minuteMs);
    expect(choose([overtook], 9)).toEqual(['prune offsite ']);
    expect(choose([overtook], 23 * 60 + 9)).toEqual(['prune offsite ']);
    expect(choose([overtook], 24 * 60 + 30)).toEqual(['prune offsite ']);
  });

  test('lets others begin most of the time while a job that overtook it takes long', () => {
    const overtook = begun(first, nowMs + minuteMs);
    expect(choose([overtook], 10)).toContain('backup main media');
    expect(choose([overtook], 23 * 60 + 59)).toContain('backup main media');
  });
});

test('two policies that prune one repository at the same time prune it once', () => {
  const due = dueAll(
    `p: { schedule: '@hourly', keep: { last: 1 } }, q: { volumes: web, schedule: '@hourly', keep: { last: 1 } }`,
    alone,
  );
  expect(due.filter(({ task }) => task.action === 'prune')).toHaveLength(1);
});

test("keep rules in one volume's labels cause a prune, whatever the labels of other volumes say", () => {
  const settings = (labels: Record<string, string>) => settingsOfLabels(labels, 'it').settings;
  const due = dueAll('', [
    someSubject('web', { settings: settings({ schedule: '@daily', 'keep.daily': '7' }) }),
    someSubject('media', { settings: settings({ schedule: '@daily' }) }),
  ]);
  expect(due.filter(({ task }) => task.action === 'prune')).toHaveLength(1);
});
