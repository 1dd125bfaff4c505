import { describe, expect, test } from 'vitest';
import { judge, type RunFacts } from './test-verdict.ts';

const good: RunFacts = {
  outcomes: [{ lane: 'unit', reason: undefined }],
  summary: {
    lanes: {
      unit: {
        passed: 3,
        failed: 0,
        failures: [],
        flaky: [],
        skipped: [],
        files: [{ name: 'a.test.ts', tookMs: 1600 }],
      },
    },
    strayErrors: [],
    complete: true,
  },
  exitCode: 0,
  leaks: [],
  strict: true,
  filtered: false,
};

describe('`judge()`', () => {
  test('prints the duration of each lane, and the ten slowest files', () => {
    const files = Array.from({ length: 12 }, (_, i) => ({ name: `${i}.test.ts`, tookMs: i * 1000 }));
    const summary = { ...good.summary!, lanes: { unit: { ...good.summary!.lanes['unit']!, files } } };
    expect(judge({ ...good, summary }).lines).toEqual([
      'lane unit          3 passed, 0 failed, 66 s in 12 files',
      'the slowest files:',
      ...files
        .toReversed()
        .slice(0, 10)
        .map(({ name }, i) => `${String(11 - i).padStart(6)} s ${name}`),
    ]);
  });

  test('passes a run in which every lane had tests and all passed', () => {
    expect(judge(good)).toEqual({
      passed: 3,
      failed: 0,
      lines: ['lane unit          3 passed, 0 failed, 2 s in 1 file'],
    });
  });

  test('fails a run in which no test ran, also outside of CI', () => {
    const verdict = judge({ ...good, summary: undefined, strict: false });
    expect(verdict).toMatchObject({ passed: 0, failed: 1 });
    expect(verdict.lines).toContain('FAILED: no test ran');
  });

  test('fails in CI, and only there, when a lane has no test', () => {
    const outcomes = [...good.outcomes, { lane: 'engine', reason: undefined }];
    expect(judge({ ...good, outcomes }).failed).toBe(1);
    expect(judge({ ...good, outcomes }).lines).toContain('FAILED: lane "engine" has no test');
    expect(judge({ ...good, outcomes, strict: false }).failed).toBe(0);
  });

  test('fails in CI, and only there, when a lane can not run, and says why in both', () => {
    const outcomes = [...good.outcomes, { lane: 'engine', reason: 'it needs root' }];
    expect(judge({ ...good, outcomes }).failed).toBe(1);
    const relaxed = judge({ ...good, outcomes, strict: false });
    expect(relaxed.failed).toBe(0);
    expect(relaxed.lines).toContain('lane engine        not run: it needs root');
  });

  test('fails in CI, and only there, when files had to be left out, and names them in both', () => {
    const outcomes = [
      { lane: 'unit', reason: undefined, omission: { files: '*-x.test.ts', reason: 'no x' } },
    ];
    expect(judge({ ...good, outcomes }).failed).toBe(1);
    const relaxed = judge({ ...good, outcomes, strict: false });
    expect(relaxed.failed).toBe(0);
    expect(relaxed.lines).toContain('not run: *-x.test.ts: no x');
  });

  test('fails in CI, and only there, for each skipped test, and names it', () => {
    const summary = {
      lanes: {
        unit: { passed: 3, failed: 0, failures: [], flaky: [], skipped: ['a > b', 'c > d'], files: [] },
      },
      strayErrors: [],
      complete: true,
    };
    expect(judge({ ...good, summary }).failed).toBe(2);
    expect(judge({ ...good, summary, strict: false })).toMatchObject({ passed: 3, failed: 0 });
    expect(judge({ ...good, summary, strict: false }).lines).toContain('not run: a > b');
  });

  test('names each failed test, so that the end of a log says what is wrong', () => {
    const summary = {
      ...good.summary!,
      lanes: {
        unit: { passed: 3, failed: 1, failures: ['a.test.ts > b: c'], flaky: [], skipped: [], files: [] },
      },
    };
    const verdict = judge({ ...good, summary, exitCode: 1 });
    expect(verdict.failed).toBe(1);
    expect(verdict.lines).toContain('FAILED: a.test.ts > b: c');
  });

  test('names tests that passed only on a retry', () => {
    const summary = {
      ...good.summary!,
      lanes: {
        unit: { passed: 3, failed: 0, failures: [], flaky: ['a.test.ts > b: c'], skipped: [], files: [] },
      },
    };
    const verdict = judge({ ...good, summary });
    expect(verdict.failed).toBe(0);
    expect(verdict.lines).toContain('passed only when it was tried again: a.test.ts > b: c');
  });

  test('fails for stray errors, leaks, an interrupted run and an unexplained exit code', () => {
    const summary = { ...good.summary!, strayErrors: ['a fork died', 'b'] };
    expect(judge({ ...good, summary, exitCode: 1 })).toMatchObject({
      failed: 2,
      lines: expect.arrayContaining(['FAILED: outside of any test: a fork died']),
    });
    expect(judge({ ...good, leaks: ['a mount: /x'] }).failed).toBe(1);
    expect(judge({ ...good, summary: { ...good.summary!, complete: false } }).failed).toBe(1);
    expect(judge({ ...good, exitCode: 1 }).failed).toBe(1);
  });

  test('does not ask for tests in every lane when the caller chose files', () => {
    const outcomes = [...good.outcomes, { lane: 'engine', reason: undefined }];
    expect(judge({ ...good, outcomes, filtered: true }).failed).toBe(0);
  });
});
