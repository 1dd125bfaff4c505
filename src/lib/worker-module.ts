import { basename } from 'node:path';

/**
 * Where a module is that runs in a thread or process of its own. `path` is relative to the module that asks
 * (`import.meta.url`) and has no extension. In the sources it is where it says; the bundle keeps all its modules in one folder.
 */
export function workerModule(path: string, askedBy: string): URL {
  return askedBy.endsWith('.ts')
    ? new URL(`${path}.ts`, askedBy)
    : new URL(`./${basename(path)}.js`, askedBy);
}
