import { copyFileSync, existsSync, globSync, mkdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { bundle } from './bundle.ts';

const root = dirname(import.meta.dirname);
const packages = join(root, 'node_modules');

export interface OwnPackage extends Disposable {
  readonly folder: string;
  /** Its `holdfast`. */
  readonly command: string;
}

/**
 * Makes a package of the sources as they are now, until it is disposed. It lies where npm would install it, so
 * it finds Node.js and native packages as an installed one does. Sources that are changed meanwhile do not
 * change it.
 */
export async function makeOwnPackage(): Promise<OwnPackage> {
  removeOrphans();
  const folder = join(packages, `.holdfast-${process.pid}`);
  await bundle(join(folder, 'dist'));
  mkdirSync(join(folder, 'bin'));
  for (const name of ['package.json', 'bin/holdfast']) copyFileSync(join(root, name), join(folder, name));
  return {
    folder,
    command: join(folder, 'bin/holdfast'),
    [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** What a killed process has left. */
function removeOrphans(): void {
  for (const name of globSync('.holdfast-*', { cwd: packages })) {
    if (!existsSync(join('/proc', name.slice('.holdfast-'.length))))
      rmSync(join(packages, name), { recursive: true, force: true });
  }
}
