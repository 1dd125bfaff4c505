import { appendFileSync } from 'node:fs';
import { basename } from 'node:path';
import type { Reporter, SerializedError, TestCase, TestModule } from 'vitest/node';

/**
 * What the guest's vitest reports to the host's, one line of JSON each, as soon as it is known: a dying guest
 * has reported everything until then.
 */
export type GuestLine =
  | { readonly kind: 'begun' | 'passed'; readonly file: string; readonly test: string }
  | { readonly kind: 'failed'; readonly file: string; readonly test: string; readonly words: string }
  /** All tests of a file are over. `words` are the errors outside of them. */
  | { readonly kind: 'file'; readonly file: string; readonly words: string | undefined }
  | { readonly kind: 'end'; readonly words: string | undefined };

/** Appends GuestLines to the file that HOLDFAST_GUEST_REPORT names. */
export class LineReporter implements Reporter {
  onTestCaseReady(test: TestCase): void {
    tell({ kind: 'begun', file: fileOf(test.module), test: test.fullName });
  }

  onTestCaseResult(test: TestCase): void {
    const result = test.result();
    const name = { file: fileOf(test.module), test: test.fullName };
    if (result.state === 'passed') return tell({ kind: 'passed', ...name });
    tell({ kind: 'failed', ...name, words: wordsOf(result.errors ?? []) ?? `it was ${result.state}` });
  }

  onTestModuleEnd(module: TestModule): void {
    tell({ kind: 'file', file: fileOf(module), words: wordsOf(module.errors()) });
  }

  onTestRunEnd(modules: readonly TestModule[], errors: readonly SerializedError[], reason: string): void {
    const words = modules.length === 0 ? 'no file had a test' : undefined;
    tell({ kind: 'end', words: wordsOf(errors) ?? (reason === 'interrupted' ? 'interrupted' : words) });
  }
}

function tell(line: GuestLine): void {
  appendFileSync(process.env['HOLDFAST_GUEST_REPORT'] ?? '', `${JSON.stringify(line)}\n`);
}

function fileOf(module: TestModule): string {
  return basename(module.moduleId, '.guest.ts');
}

/** Includes the other fields of an AppError. */
function wordsOf(errors: readonly SerializedError[]): string | undefined {
  const texts = errors.map(({ message, stack = message, ...rest }) => {
    const facts = ['code', 'detail', 'hint'].flatMap((key) => {
      const value: unknown = rest[key];
      return typeof value === 'string' ? [`  ${key}: ${value}`] : [];
    });
    return [stack, ...facts].join('\n');
  });
  return texts.length === 0 ? undefined : texts.join('\n');
}
