import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { makeOwnPackage } from '../../scripts/own-package.ts';

/**
 * Runs once before all tests: makes a package, which tests start as users start theirs
 * (`support/holdfast-command.ts`).
 */
export default async function bundleCommand(project: TestProject): Promise<(() => void) | undefined> {
  if (project.vitest.projects.every(({ name }) => name === 'unit')) return undefined;
  const made = await makeOwnPackage();
  process.env['HOLDFAST_TEST_COMMAND'] = made.command;
  // Of its own: code of a bundle that is gone is of no use to the next run.
  process.env['NODE_COMPILE_CACHE'] ??= join(made.folder, 'code');
  return () => made[Symbol.dispose]();
}
