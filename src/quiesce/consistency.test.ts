import { expect, test } from 'vitest';
import { planBound, planConsistency, planTogether, type SaidBound, type Situation } from './consistency.ts';

function situation(more: Partial<Situation> = {}): Situation {
  return { name: 'pg', mode: 'auto', writers: 1, way: 'direct', canClone: false, ...more };
}

test.each<[Partial<Situation>, object]>([
  [{ writers: 0 }, { consistency: 'cold', how: undefined, liveFirst: false }],
  [{ canClone: true }, { consistency: 'freeze', how: 'pause', liveFirst: true, clones: true }],
  [{}, { consistency: 'two-pass', how: 'pause', liveFirst: true, clones: false }],
  [{ way: 'stream' }, { consistency: 'pause', how: 'pause', liveFirst: false }],
  [
    { mode: 'two-pass', canClone: true },
    { consistency: 'two-pass', clones: false },
  ],
  [{ mode: 'pause' }, { consistency: 'pause', how: 'pause', liveFirst: false }],
  [{ mode: 'stop' }, { consistency: 'stop', how: 'stop', liveFirst: true }],
  [
    { mode: 'stop', way: 'stream' },
    { consistency: 'stop', how: 'stop', liveFirst: false },
  ],
  [{ mode: 'live' }, { consistency: 'live', how: undefined }],
  [{ mode: 'live', writers: 0 }, { consistency: 'cold' }],
  [
    { mode: 'stop', writers: 0 },
    { consistency: 'cold', how: undefined },
  ],
])('%o is kept still so: %o', (more, plan) => {
  expect(planConsistency(situation(more))).toMatchObject(plan);
});

test('a mode that is not available is refused, naming those that are', () => {
  expect(() => planConsistency(situation({ mode: 'freeze' }))).toThrow('its file system cannot clone files');
  expect(() => planConsistency(situation({ mode: 'freeze', way: 'stream' }))).toThrow('through the engine');
  expect(() => planConsistency(situation({ mode: 'two-pass', way: 'stream' }))).toThrow('two passes');
});

test('a long pause is announced', () => {
  expect(planConsistency(situation({ way: 'stream' })).note).toContain('paused for as long as that takes');
  expect(planConsistency(situation()).note).toBeUndefined();
});

test('volumes of one moment get what all of those support that are written to', () => {
  const both = planTogether([situation({ canClone: true }), situation({ canClone: false })]);
  expect(both).toMatchObject({ consistency: 'two-pass', liveFirst: true, clones: true });
  const oneBusy = planTogether([situation({ canClone: true }), situation({ writers: 0 })]);
  expect(oneBusy).toMatchObject({ consistency: 'freeze', clones: true });
  const streamed = planTogether([situation({ way: 'stream' }), situation()]);
  expect(streamed).toMatchObject({ consistency: 'pause', liveFirst: false });
  expect(planTogether([situation({ writers: 0 }), situation({ writers: 0 })]).consistency).toBe('cold');
});

const unsaid: SaidBound = { maxStillMs: undefined, stillTries: undefined };

test('after a live pass, data is still for a second at most, three times', () => {
  const plan = { liveFirst: true };
  expect(planBound([unsaid, unsaid], { plan, stops: false })).toEqual({ maxStillMs: 1000, tries: 3 });
});

test('a stop or a full read has no limit unless one is set, and is not repeated', () => {
  expect(planBound([unsaid], { plan: { liveFirst: false }, stops: false }).maxStillMs).toBeUndefined();
  const stop = { plan: { liveFirst: true }, stops: true };
  expect(planBound([unsaid], stop)).toEqual({ maxStillMs: undefined, tries: 1 });
  expect(planBound([{ ...unsaid, maxStillMs: 500 }], stop)).toEqual({ maxStillMs: 500, tries: 1 });
});

test('among the volumes of one moment the shortest limit applies, and "unlimited" is none', () => {
  const work = { plan: { liveFirst: true }, stops: false };
  const said = [{ maxStillMs: 5000, stillTries: 2 }, unsaid, { maxStillMs: 3000, stillTries: undefined }];
  expect(planBound(said, work)).toEqual({ maxStillMs: 3000, tries: 2 });
  expect(planBound([{ ...unsaid, maxStillMs: Infinity }], work).maxStillMs).toBeUndefined();
});
