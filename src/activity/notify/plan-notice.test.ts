import { expect, test } from 'vitest';
import type { NoticeRecord } from '../../catalog/catalog.ts';
import type { Happening } from './notifier.ts';
import { asTold, planNotice } from './plan-notice.ts';

const hour = 3_600_000;
const remindMs = 24 * hour;

/** Plays happenings in a row; each notice is delivered unless `isDeaf`. */
function play(
  steps: readonly { readonly at: number; readonly what: Happening['what']; readonly code?: string }[],
  isDeaf = false,
): string[] {
  let record: NoticeRecord | undefined;
  return steps.map(({ at, what, code }) => {
    const happening: Happening = { what, work: 'backup', subject: 'pg', message: '', fingerprint: code };
    const plan = planNotice(happening, { record, nowMs: at * hour, remindMs });
    const isTold = plan.notice !== undefined && !isDeaf;
    record = plan.record && (isTold ? asTold(plan.record) : plan.record);
    return plan.notice === undefined ? '' : `${plan.notice.event} ${plan.notice.count}`;
  });
}

test('a first good result is a success', () => {
  expect(play([{ at: 0, what: 'good' }])).toEqual(['success 1']);
});

test('a failure is sent once, and its end too', () => {
  expect(
    play([
      { at: 0, what: 'failed' },
      { at: 1, what: 'failed' },
      { at: 2, what: 'failed' },
      { at: 3, what: 'good' },
      { at: 4, what: 'good' },
    ]),
  ).toEqual(['failure 1', '', '', 'recovery 3', 'success 1']);
});

test('after a day a failure is sent again, with how often it happened meanwhile', () => {
  const hours = Array.from({ length: 50 }, (_, at) => ({ at, what: 'failed' as const }));
  const told = play(hours);
  expect(told.filter(Boolean)).toEqual(['failure 1', 'failure 24', 'failure 24']);
});

test('a different failure is sent at once', () => {
  expect(
    play([
      { at: 0, what: 'failed', code: 'full' },
      { at: 1, what: 'failed', code: 'unavailable' },
      { at: 2, what: 'failed', code: 'unavailable' },
    ]),
  ).toEqual(['failure 1', 'failure 1', '']);
});

test('a notice that was not delivered is sent again', () => {
  const steps = [0, 1, 2].map((at) => ({ at, what: 'failed' as const }));
  expect(play(steps, true)).toEqual(['failure 1', 'failure 2', 'failure 3']);
});

test('a clock that jumps back suppresses nothing', () => {
  expect(
    play([
      { at: 1000, what: 'failed' },
      { at: 1, what: 'failed' },
    ]),
  ).toEqual(['failure 1', 'failure 1']);
});

test('missed runs and anomalies are sent as such, and no backup ends them', () => {
  expect(play([{ at: 0, what: 'missed' }])).toEqual(['missed 1']);
  expect(
    play([
      { at: 0, what: 'anomaly' },
      { at: 1, what: 'anomaly' },
    ]),
  ).toEqual(['anomaly 1', '']);
});
