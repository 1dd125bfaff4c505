import { expect, test } from 'vitest';
import type { PolicyCursor } from '../model/policy-run.ts';
import { configurationShape } from './configuration/configuration.ts';
import { readDocument } from '../lib/read-document.ts';
import { planTasks } from './daemon.ts';
import { someSubject } from '../../test/fixtures/fake-work.ts';
import { planDue, settledCursor } from './plan-due.ts';
import type { Task } from './task.ts';

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const at = (time: string): number => Date.parse(`2026-03-10T${time}Z`);

function taskFor(policy: string): Task {
  const configuration = readDocument(`policies: { p: ${policy} }`, configurationShape, 'h')?.value;
  if (configuration === undefined) throw new Error('nothing');
  const [task] = planTasks(configuration, [someSubject('pg')], { defaultRepository: 'main' });
  if (task === undefined) throw new Error('no task');
  return task;
}

const daily = taskFor(`{ schedule: '0 3 * * *', time-zone: UTC }`);

function plan(task: Task, cursor: Partial<PolicyCursor> | undefined, nowMs: number) {
  const known = cursor && { ...settledCursor(task, at('03:00') - 24 * hourMs), ...cursor };
  return planDue([task], new Map(known ? [[task.key, known]] : []), nowMs);
}

test('a new task is due now, with its next time', () => {
  const { due, changed, wakeMs } = plan(daily, undefined, at('12:00'));
  expect(due).toEqual([]);
  expect(changed).toEqual([settledCursor(daily, at('12:00'))]);
  expect(wakeMs).toBe(at('03:00') + 24 * hourMs);
});

test('a time that has come is due once, until it is settled', () => {
  expect(plan(daily, {}, at('02:59')).due).toEqual([]);
  expect(plan(daily, {}, at('03:00')).due).toMatchObject([{ dueMs: at('03:00'), missed: 0, isWanted: true }]);
  expect(plan(daily, { handledUntil: new Date(at('03:00')).toISOString() }, at('03:01')).due).toEqual([]);
});

test('after several missed times, the last is due, and all are counted', () => {
  const [due] = plan(daily, { handledUntil: '2026-03-01T03:00:00.000Z' }, at('08:00')).due;
  expect(due).toMatchObject({
    dueMs: at('03:00'),
    missed: 9,
    firstMs: Date.parse('2026-03-02T03:00:00Z'),
    isWanted: true,
  });
});

test('without catch-up, a late task is not wanted, and one in time is', () => {
  const strict = taskFor(`{ schedule: '0 3 * * *', time-zone: UTC, catch-up: false }`);
  expect(plan(strict, {}, at('03:14')).due[0]).toMatchObject({ isWanted: true, missed: 0 });
  expect(plan(strict, {}, at('03:16')).due[0]).toMatchObject({ isWanted: false, missed: 1 });
  const tried = {
    dueAt: new Date(at('03:00')).toISOString(),
    attempts: 2,
    retryAt: new Date(at('03:20')).toISOString(),
  };
  expect(plan(strict, tried, at('03:21')).due[0]).toMatchObject({
    isWanted: true,
    attempts: 2,
    wasKilled: false,
  });
});

test('a failed task waits for its retry, but not beyond its next time', () => {
  const tried = {
    dueAt: new Date(at('03:00')).toISOString(),
    attempts: 1,
    retryAt: new Date(at('03:30')).toISOString(),
  };
  expect(plan(daily, tried, at('03:10'))).toMatchObject({ due: [], wakeMs: at('03:30') });
  expect(plan(daily, tried, at('03:30')).due).toHaveLength(1);
  const hourly = taskFor(`{ schedule: '*/10 * * * *', time-zone: UTC }`);
  expect(plan(hourly, tried, at('03:10')).due).toMatchObject([{ dueMs: at('03:10'), attempts: 0 }]);
  const never = { ...tried, retryAt: '2031-01-01T00:00:00.000Z' };
  expect(plan(daily, never, at('03:10')).due).toHaveLength(1);
});

test('a clock set back by little repeats nothing; one that was wrong by much starts anew', () => {
  const done = (time: number) => ({ handledUntil: new Date(time).toISOString() });
  expect(plan(daily, done(at('03:00')), at('02:30'))).toMatchObject({
    due: [],
    changed: [],
    wakeMs: at('03:00') + 24 * hourMs,
  });
  const ahead = plan(daily, done(Date.parse('2031-01-01T03:00:00Z')), at('12:00'));
  expect(ahead).toMatchObject({ due: [], wakeMs: at('03:00') + 24 * hourMs });
  expect(ahead.changed).toEqual([settledCursor(daily, at('12:00'))]);
});

test('a changed schedule counts from when it is read', () => {
  const { due, changed } = plan(daily, { schedule: '@hourly' }, at('12:00'));
  expect({ due, changed }).toEqual({ due: [], changed: [settledCursor(daily, at('12:00'))] });
});

test('jitter moves each volume by the same at each start, within its limit, and those of a stack together', () => {
  const configuration = readDocument(
    `policies: { p: { schedule: '0 3 * * *', jitter: 1h, time-zone: UTC } }`,
    configurationShape,
    'h',
  )?.value;
  if (configuration === undefined) throw new Error('nothing');
  const subjects = [
    ...Array.from({ length: 50 }, (_, index) => someSubject(`v${index}`)),
    someSubject('a', { stack: 'shop' }),
    someSubject('b', { stack: 'shop' }),
  ];
  const delays = (): number[] =>
    planTasks(configuration, subjects, { defaultRepository: 'main' }).map(({ delayMs }) => delayMs);
  expect(delays()).toEqual(delays());
  expect(Math.max(...delays())).toBeLessThan(hourMs);
  expect(new Set(delays()).size).toBeGreaterThan(45);
  expect(delays()[50]).toBe(delays()[51]);
  const [task] = planTasks(configuration, subjects, { defaultRepository: 'main' });
  if (task === undefined) throw new Error('no task');
  expect(plan(task, {}, at('03:00') + task.delayMs - 1).due).toEqual([]);
  expect(plan(task, {}, at('03:00') + task.delayMs).due).toHaveLength(1);
});
