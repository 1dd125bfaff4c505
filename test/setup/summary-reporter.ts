import { writeFileSync } from 'node:fs';
import { relative } from 'node:path';
import type { Reporter, TestModule } from 'vitest/node';

/** What one run of the tests did, for the script that started it. */
export interface TestSummary {
  readonly lanes: Record<string, LaneSummary>;
  /** Errors that belong to no test. */
  readonly strayErrors: number;
  /** False when the run was interrupted. */
  readonly complete: boolean;
}

export interface LaneSummary {
  passed: number;
  /** Tests, and files or suites that failed outside of any test. */
  failed: number;
  /** Names of tests that did not run: skipped, or still to be written. */
  skipped: string[];
}

/** Writes a TestSummary as JSON to the file that HOLDFAST_TEST_SUMMARY names. */
export default class SummaryReporter implements Reporter {
  onTestRunEnd(
    modules: readonly TestModule[],
    strayErrors: readonly unknown[],
    reason: 'passed' | 'interrupted' | 'failed',
  ): void {
    const path = process.env['HOLDFAST_TEST_SUMMARY'];
    if (path === undefined) return;
    const lanes: Record<string, LaneSummary> = {};
    for (const module of modules) {
      const lane = (lanes[module.project.name] ??= { passed: 0, failed: 0, skipped: [] });
      addModule(lane, module);
    }
    const summary: TestSummary = {
      lanes,
      strayErrors: strayErrors.length,
      complete: reason !== 'interrupted',
    };
    writeFileSync(path, JSON.stringify(summary));
  }
}

function addModule(lane: LaneSummary, module: TestModule): void {
  const file = relative(process.cwd(), module.moduleId);
  let failedTests = 0;
  for (const test of module.children.allTests()) {
    const { state } = test.result();
    if (state === 'passed') lane.passed += 1;
    else if (state === 'failed') failedTests += 1;
    else lane.skipped.push(`${file} > ${test.fullName}`);
  }
  // A file whose hooks or imports failed is a failure too, though no single test is.
  const failedOutside = module.state() === 'failed' && failedTests === 0 ? 1 : 0;
  lane.failed += failedTests + failedOutside;
}
