import { expect, test } from 'vitest';
import { configurationShape } from '../config/configuration.ts';
import { readDocument } from '../config/read-document.ts';
import { settingsOfLabels } from '../config/settings-of-labels.ts';
import { planTasks } from './daemon.ts';
import { someSubject } from './fake-work.fixture.ts';
import { type DueTask, planDue, settledCursor } from './plan-due.ts';
import { chooseJobs, groupJobs, type Job } from './plan-jobs.ts';
import type { Subject } from './subject.ts';

function dueAll(policies: string, subjects: readonly Subject[]): readonly DueTask[] {
  const configuration = readDocument(`policies: { ${policies} }`, configurationShape, 'h')?.value;
  if (configuration === undefined) throw new Error('nothing');
  const tasks = planTasks(configuration, subjects, { defaultRepository: 'main' });
  const long = new Map(tasks.map((task) => [task.key, settledCursor(task, 0)]));
  return planDue(tasks, long, Date.parse('2026-03-15T12:00:00Z')).due;
}

const names = (jobs: readonly Job[]): string[] =>
  jobs.map(
    ({ action, repository, tasks }) =>
      `${action} ${repository} ${tasks.map(({ task }) => task.subject?.name ?? '').join('+')}`,
  );

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

test('a volume of a stack that is to be treated in another way is saved by itself', () => {
  const [db, files] = shop;
  if (db === undefined || files === undefined) throw new Error('no shop');
  const stopped = { ...db, settings: { ...db.settings, consistency: 'stop' as const } };
  const jobs = groupJobs(dueAll(`p: { schedule: '@daily' }`, [stopped, files]));
  expect(names(jobs).toSorted()).toEqual(['backup main db', 'backup main files']);
});

test('one at a time for each volume, and so many in all', () => {
  const jobs = groupJobs(dueAll(`p: { schedule: '@daily', repositories: [main, offsite] }`, alone));
  const [first, ...rest] = chooseJobs(jobs, [], 2);
  expect(rest).toHaveLength(1);
  expect(first?.subjects).not.toEqual(rest[0]?.subjects);
  const none = chooseJobs(
    jobs,
    [first, ...rest].filter((job) => job !== undefined),
    2,
  );
  expect(none).toEqual([]);
});

test('what removes data runs alone in its repository, and is not overtaken there for ever', () => {
  const due = dueAll(`p: { schedule: '@hourly', keep: { last: 1 }, repositories: [main, offsite] }`, alone);
  const jobs = groupJobs(due);
  const prune = jobs.filter(({ action }) => action === 'prune');
  expect(prune.map(({ repository }) => repository)).toEqual(['main', 'offsite']);
  const backup = jobs.find(({ action, repository }) => action === 'backup' && repository === 'main');
  if (backup === undefined) throw new Error('no backup');
  // A backup is under way in one of the repositories: there the prune waits, and who comes later waits behind it.
  const later = jobs.filter((job) => job.action === 'backup' && job !== backup);
  const chosen = chooseJobs([...prune, ...later], [backup], 9);
  expect(names(chosen)).toEqual(['prune offsite ']);
});

test('two policies that prune one repository at one time do it once', () => {
  const due = dueAll(
    `p: { schedule: '@hourly', keep: { last: 1 } }, q: { volumes: web, schedule: '@hourly', keep: { last: 1 } }`,
    alone,
  );
  expect(due.filter(({ task }) => task.action === 'prune')).toHaveLength(1);
});

test('what is thinned out by labels alone is pruned, whatever the labels of other volumes say', () => {
  const settings = (labels: Record<string, string>) => settingsOfLabels(labels, 'it').settings;
  const due = dueAll('', [
    someSubject('web', { settings: settings({ schedule: '@daily', 'keep.daily': '7' }) }),
    someSubject('media', { settings: settings({ schedule: '@daily' }) }),
  ]);
  expect(due.filter(({ task }) => task.action === 'prune')).toHaveLength(1);
});
