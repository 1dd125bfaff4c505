import type { FileSummary, TestSummary } from '../test/setup/summary-reporter.ts';

export interface LaneOutcome {
  readonly lane: string;
  /** Why the lane could not run; undefined when it could. */
  readonly reason: string | undefined;
  /** Its files that had to be left out, and why. */
  readonly omission?: { readonly files: string; readonly reason: string } | undefined;
}

export interface RunFacts {
  readonly outcomes: readonly LaneOutcome[];
  /** Undefined when the runner wrote none: it crashed, or had nothing to run. */
  readonly summary: TestSummary | undefined;
  readonly exitCode: number;
  readonly leaks: readonly string[];
  /** In CI: a lane that cannot run or has no test, and a skipped test, are failures. */
  readonly strict: boolean;
  /** The caller chose files or tests by name, so lanes may well have none. */
  readonly filtered: boolean;
}

export interface Verdict {
  readonly passed: number;
  /** Failed tests, and every other reason for a bad run. */
  readonly failed: number;
  /** One line per lane, then what is wrong. */
  readonly lines: readonly string[];
}

/** Decides the result of a test run. */
export function judge(facts: RunFacts): Verdict {
  const lanes = Object.values(facts.summary?.lanes ?? {});
  const passed = sum(lanes.map((lane) => lane.passed));
  const failedTests = sum(lanes.map((lane) => lane.failed));
  const skipped = lanes.flatMap((lane) => lane.skipped);
  const faults = findFaults(facts, passed + failedTests, failedTests);
  const notRun = facts.strict && !facts.filtered ? skipped : [];
  const lines = [
    ...facts.outcomes.map((outcome) => describeLane(outcome, facts)),
    ...describeSlowest(lanes.flatMap(({ files }) => files)),
    ...facts.outcomes.flatMap(({ omission }) =>
      omission === undefined ? [] : `not run: ${omission.files}: ${omission.reason}`,
    ),
    ...lanes.flatMap(({ flaky }) => flaky.map((name) => `passed only when it was tried again: ${name}`)),
    ...lanes.flatMap(({ failures }) => failures.map((failure) => `FAILED: ${failure}`)),
    ...skipped.map((name) => `${notRun.length > 0 ? 'FAILED: not run' : 'not run'}: ${name}`),
    ...faults.map((fault) => `FAILED: ${fault}`),
  ];
  return { passed, failed: failedTests + notRun.length + faults.length, lines };
}

/** What makes the run bad besides failed tests. */
function findFaults(facts: RunFacts, ran: number, failedTests: number): string[] {
  const faults = facts.leaks.map((leak) => `the tests left behind ${leak}`);
  if (ran === 0) faults.push('no test ran');
  if (facts.summary?.complete === false) faults.push('the run was interrupted');
  for (const error of facts.summary?.strayErrors ?? []) faults.push(`outside of any test: ${error}`);
  if (facts.strict) {
    for (const { lane, reason, omission } of facts.outcomes) {
      if (omission !== undefined) faults.push(`${omission.files} can't run: ${omission.reason}`);
      if (reason !== undefined) faults.push(`lane "${lane}" can't run: ${reason}`);
      else if (!facts.filtered && count(facts, lane) === 0) faults.push(`lane "${lane}" has no test`);
    }
  }
  if (facts.exitCode !== 0 && failedTests === 0 && faults.length === 0) {
    faults.push(`the test runner ended with exit code ${facts.exitCode}`);
  }
  return faults;
}

function describeLane({ lane, reason }: LaneOutcome, facts: RunFacts): string {
  const name = `lane ${lane}`.padEnd(18);
  if (reason !== undefined) return `${name} not run: ${reason}`;
  const found = facts.summary?.lanes[lane];
  if (found === undefined || count(facts, lane) + found.skipped.length === 0) {
    return `${name} ${facts.filtered ? 'no test chosen' : 'no tests yet'}`;
  }
  const skipped = found.skipped.length === 0 ? '' : `, ${found.skipped.length} not run`;
  const took = seconds(sum(found.files.map(({ tookMs }) => tookMs)));
  return `${name} ${found.passed} passed, ${found.failed} failed${skipped}, ${took} s in ${countOf(found.files.length, 'file')}`;
}

const slowestAtMost = 10;

function describeSlowest(files: readonly FileSummary[]): string[] {
  if (files.length <= slowestAtMost) return [];
  const slowest = files.toSorted((a, b) => b.tookMs - a.tookMs).slice(0, slowestAtMost);
  return [
    'the slowest files:',
    ...slowest.map(({ name, tookMs }) => `${seconds(tookMs).padStart(6)} s ${name}`),
  ];
}

function countOf(total: number, noun: string): string {
  return `${total} ${noun}${total === 1 ? '' : 's'}`;
}

function seconds(ms: number): string {
  return (ms / 1000).toFixed(0);
}

function count(facts: RunFacts, lane: string): number {
  const found = facts.summary?.lanes[lane];
  return found === undefined ? 0 : found.passed + found.failed;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
