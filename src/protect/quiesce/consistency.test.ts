import { expect, test } from 'vitest';
import { planConsistency, planTogether, type Situation } from './consistency.ts';

function situation(more: Partial<Situation> = {}): Situation {
  return { name: 'pg', wish: 'auto', writers: 1, way: 'direct', canClone: false, ...more };
}

test.each<[Partial<Situation>, object]>([
  [{ writers: 0 }, { consistency: 'cold', how: undefined, liveFirst: false }],
  [{ canClone: true }, { consistency: 'freeze', how: 'pause', liveFirst: true, clones: true }],
  [{}, { consistency: 'two-pass', how: 'pause', liveFirst: true, clones: false }],
  [{ way: 'stream' }, { consistency: 'pause', how: 'pause', liveFirst: false }],
  [
    { wish: 'two-pass', canClone: true },
    { consistency: 'two-pass', clones: false },
  ],
  [{ wish: 'pause' }, { consistency: 'pause', how: 'pause', liveFirst: false }],
  [{ wish: 'stop' }, { consistency: 'stop', how: 'stop', liveFirst: true }],
  [
    { wish: 'stop', way: 'stream' },
    { consistency: 'stop', how: 'stop', liveFirst: false },
  ],
  [{ wish: 'live' }, { consistency: 'live', how: undefined }],
  [{ wish: 'live', writers: 0 }, { consistency: 'cold' }],
  [
    { wish: 'stop', writers: 0 },
    { consistency: 'cold', how: undefined },
  ],
])('%o is kept still so: %o', (more, plan) => {
  expect(planConsistency(situation(more))).toMatchObject(plan);
});

test('what was asked for and cannot be had is refused, with what can be had', () => {
  expect(() => planConsistency(situation({ wish: 'freeze' }))).toThrow('its file system cannot clone files');
  expect(() => planConsistency(situation({ wish: 'freeze', way: 'stream' }))).toThrow('through the engine');
  expect(() => planConsistency(situation({ wish: 'two-pass', way: 'stream' }))).toThrow('two passes');
});

test('a long pause is told beforehand', () => {
  expect(planConsistency(situation({ way: 'stream' })).note).toContain('paused for as long as that takes');
  expect(planConsistency(situation()).note).toBeUndefined();
});

test('volumes of one moment get what all of those can have that are written to', () => {
  const both = planTogether([situation({ canClone: true }), situation({ canClone: false })]);
  expect(both).toMatchObject({ consistency: 'two-pass', liveFirst: true, clones: true });
  const oneBusy = planTogether([situation({ canClone: true }), situation({ writers: 0 })]);
  expect(oneBusy).toMatchObject({ consistency: 'freeze', clones: true });
  const streamed = planTogether([situation({ way: 'stream' }), situation()]);
  expect(streamed).toMatchObject({ consistency: 'pause', liveFirst: false });
  expect(planTogether([situation({ writers: 0 }), situation({ writers: 0 })]).consistency).toBe('cold');
});
