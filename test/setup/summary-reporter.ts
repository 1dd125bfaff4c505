import { writeFileSync } from 'node:fs';
import { relative } from 'node:path';
import type { Reporter, SerializedError, TestModule } from 'vitest/node';

/** What one run of the tests did, for the script that started it. */
export interface TestSummary {
  readonly lanes: Record<string, LaneSummary>;
  /** Errors that belong to no test, a line each. */
  readonly strayErrors: readonly string[];
  /** False when the run was interrupted. */
  readonly complete: boolean;
}

export interface LaneSummary {
  passed: number;
  /** Tests, and files or suites that failed outside of any test. */
  failed: number;
  /** Which ones failed and why, a line each. */
  failures: string[];
  /** Names of tests that passed only when they were tried again, and why they failed first. */
  flaky: string[];
  /** Names of tests that did not run: skipped, or still to be written. */
  skipped: string[];
  files: FileSummary[];
}

export interface FileSummary {
  readonly name: string;
  /** From the start of its worker to its end, with all hooks. */
  readonly tookMs: number;
}

/** Writes a TestSummary as JSON to the file that HOLDFAST_TEST_SUMMARY names. */
export default class SummaryReporter implements Reporter {
  onTestRunEnd(
    modules: readonly TestModule[],
    strayErrors: readonly SerializedError[],
    reason: 'passed' | 'interrupted' | 'failed',
  ): void {
    const path = process.env['HOLDFAST_TEST_SUMMARY'];
    if (path === undefined) return;
    const lanes: Record<string, LaneSummary> = {};
    for (const module of modules) {
      const lane = (lanes[module.project.name] ??= {
        passed: 0,
        failed: 0,
        failures: [],
        flaky: [],
        skipped: [],
        files: [],
      });
      addModule(lane, module);
    }
    const summary: TestSummary = {
      lanes,
      strayErrors: strayErrors.map(firstLine),
      complete: reason !== 'interrupted',
    };
    writeFileSync(path, JSON.stringify(summary));
  }
}

function addModule(lane: LaneSummary, module: TestModule): void {
  const file = relative(process.cwd(), module.moduleId);
  lane.files.push({ name: file, tookMs: tookMs(module) });
  let failedTests = 0;
  for (const test of module.children.allTests()) {
    const { state, errors = [] } = test.result();
    if (state === 'passed') {
      lane.passed += 1;
      if (test.diagnostic()?.flaky === true)
        lane.flaky.push(`${file} > ${test.fullName}: ${errors.map(firstLine).join('; ')}`);
    } else if (state === 'failed') {
      failedTests += 1;
      lane.failures.push(`${file} > ${test.fullName}: ${errors.map(firstLine).join('; ')}`);
    } else lane.skipped.push(`${file} > ${test.fullName}`);
  }
  // A file whose hooks or imports failed is a failure too, though no single test is.
  const failedOutside = module.state() === 'failed' && failedTests === 0 ? 1 : 0;
  if (failedOutside > 0) lane.failures.push(`${file}: ${module.errors().map(firstLine).join('; ')}`);
  lane.failed += failedTests + failedOutside;
}

function tookMs(module: TestModule): number {
  const { environmentSetupDuration, prepareDuration, collectDuration, setupDuration, duration } =
    module.diagnostic();
  return environmentSetupDuration + prepareDuration + collectDuration + setupDuration + duration;
}

/** With the cause, since a runner wraps what it is told. */
function firstLine({ message, cause }: SerializedError): string {
  const line = (/^.*/.exec(message)?.[0] ?? '').slice(0, 300);
  return cause ? `${line} ${firstLine(cause)}` : line;
}
