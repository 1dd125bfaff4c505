import { globSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { rolldown, type OutputChunk, type Plugin } from 'rolldown';

const root = dirname(import.meta.dirname);
const src = join(root, 'src');

/** Programs and the library by the names of their files in the bundle; the workers keep theirs. */
const entries = {
  main: join(src, 'surfaces/cli/main.ts'),
  index: join(src, 'index.ts'),
  repository: join(src, 'repository/index.ts'),
};

export interface Bundle {
  /** Modules of the sources that are in it. */
  readonly modules: number;
  /** Folders of the packages whose code is in it, from the root of the checkout. */
  readonly packages: readonly string[];
}

/** Writes the product into a folder, which is made anew: JavaScript, with the packages that it uses except native ones. */
export async function bundle(target: string): Promise<Bundle> {
  const workers = globSync('**/*-worker.ts', { cwd: src });
  const start = startOf('surfaces/cli/command-line.ts');
  await using build = await rolldown({
    cwd: root,
    input: {
      ...entries,
      ...Object.fromEntries(workers.map((path) => [basename(path, '.ts'), join(src, path)])),
    },
    platform: 'node',
    // It loads its native library from its own folder.
    external: ['koffi'],
    plugins: [start.plugin],
    onLog: (_, log) => {
      // A module that is loaded late in one place and at once in another: nothing is wrong with it.
      if (log.code !== 'INEFFECTIVE_DYNAMIC_IMPORT') throw new Error(log.message);
    },
  });
  const { output } = await build.write({
    dir: target,
    cleanDir: true,
    entryFileNames: '[name].js',
    chunkFileNames: '[name]-[hash].js',
    minify: true,
    // What every start loads comes as one file.
    codeSplitting: { groups: [{ name: 'start', test: (id) => start.holds(id) }] },
  });
  const ids = output
    .filter((file): file is OutputChunk => file.type === 'chunk')
    .flatMap(({ moduleIds }) => moduleIds);
  const inside = ids.filter((id) => id.startsWith(root)).map((id) => id.slice(root.length + 1));
  const packages = inside.flatMap((path) => /^node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path)?.[0] ?? []);
  return {
    modules: new Set(inside.filter((path) => path.startsWith('src/'))).size,
    packages: [...new Set(packages)].toSorted(),
  };
}

/** What a module of the sources loads at once, directly or not. Known when all modules are. */
function startOf(path: string): { readonly plugin: Plugin; holds(id: string): boolean } {
  const found = new Set<string>();
  return {
    holds: (id) => found.has(id),
    plugin: {
      name: 'start',
      buildEnd() {
        found.add(join(src, path));
        for (const id of found) for (const next of this.getModuleInfo(id)?.importedIds ?? []) found.add(next);
      },
    },
  };
}
