import { basename } from 'node:path';

/**
 * The location of a module that runs in its own thread or process. `path` is relative to the calling module
 * (`import.meta.url`) and has no extension. The sources have it at that path; the bundle keeps all its
 * modules in one folder.
 */
export function workerModule(path: string, askedBy: string): URL {
  return askedBy.endsWith('.ts')
    ? new URL(`${path}.ts`, askedBy)
    : new URL(`./${basename(path)}.js`, askedBy);
}
