import { copyFileSync, existsSync, globSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { bundle } from '../../scripts/bundle.ts';

const root = join(import.meta.dirname, '../..');
const packages = join(root, 'node_modules');

/**
 * Runs once before all tests: makes a package of the sources as they are now, which tests start as users start theirs
 * (`support/holdfast-command.ts`). It lies where npm would install it, so it finds Node.js and native packages as an
 * installed one does. Sources that are changed meanwhile do not change it.
 */
export default async function bundleCommand(project: TestProject): Promise<(() => void) | undefined> {
  if (project.vitest.projects.every(({ name }) => name === 'unit')) return undefined;
  removeOrphans();
  const folder = join(packages, `.holdfast-${process.pid}`);
  await bundle(join(folder, 'dist'));
  mkdirSync(join(folder, 'bin'));
  for (const name of ['package.json', 'bin/holdfast']) copyFileSync(join(root, name), join(folder, name));
  process.env['HOLDFAST_TEST_COMMAND'] = join(folder, 'bin/holdfast');
  // Of its own: code of a bundle that is gone is of no use to the next run.
  process.env['NODE_COMPILE_CACHE'] ??= join(folder, 'code');
  return () => rmSync(folder, { recursive: true, force: true });
}

/** What a killed run has left. */
function removeOrphans(): void {
  for (const name of globSync('.holdfast-*', { cwd: packages })) {
    if (!existsSync(join('/proc', name.slice('.holdfast-'.length))))
      rmSync(join(packages, name), { recursive: true, force: true });
  }
}
