import { globSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { type CodeSplittingOptions, type InputOptions, type Plugin, rolldown } from 'rolldown';
import { parseAst } from 'rolldown/parseAst';

const root = dirname(import.meta.dirname);
const src = join(root, 'src');

/** Programs and the library by their file names in the bundle; the workers keep theirs. */
const entries = {
  main: join(src, 'surfaces/cli/main.ts'),
  index: join(src, 'index.ts'),
  repository: join(src, 'repository/index.ts'),
};

/** What answers without an App: built by itself, of what it uses of each room only. */
const withoutApp = join(src, 'surfaces/cli/answer-df.ts');

export interface Bundle {
  /** Number of source modules in it. */
  readonly modules: number;
  /** Folders of the packages whose code is in it, from the root of the checkout, or absolute where they are not in it. */
  readonly packages: readonly string[];
}

/**
 * Writes the product into a folder, which is emptied first: JavaScript, with the packages that it uses except
 * native ones.
 */
export async function bundle(target: string): Promise<Bundle> {
  rmSync(target, { recursive: true, force: true });
  // Small files that most commands print with: in an App's chunk, they would bring it along.
  const printing = ['surfaces/cli/table.ts', 'surfaces/cli/note-no-engine.ts'];
  const everyStart = modulesBehind('surfaces/cli/command-line.ts', ...printing);
  const anApp = modulesBehind('app.ts');
  const program = await write(target, {
    input: entries,
    plugins: [everyStart.plugin, anApp.plugin, apart(withoutApp)],
    codeSplitting: {
      groups: [
        { name: 'start', test: (id) => everyStart.holds(id), priority: 2 },
        { name: 'app', test: (id) => anApp.holds(id), priority: 1 },
      ],
    },
  });
  // Bundled separately, or else each thread would load everything that an App needs.
  const workers = await write(target, {
    input: Object.fromEntries(
      globSync('**/*-worker.ts', { cwd: src }).map((path) => [basename(path, '.ts'), join(src, path)]),
    ),
  });
  const known = await write(target, {
    input: { [basename(withoutApp, '.ts')]: withoutApp },
    // A module is left out when nothing of it is used, whatever it does when it is loaded.
    treeshake: { moduleSideEffects: false },
  });
  const paths = [...new Set([...program, ...workers, ...known])].map((id) =>
    id.startsWith(`${root}/`) ? id.slice(root.length + 1) : id,
  );
  // A folder of packages that is a link has them elsewhere.
  const packages = paths.flatMap(
    (path) => /^(?:\/.*?\/)?node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path)?.[0] ?? [],
  );
  return {
    modules: paths.filter((path) => path.startsWith('src/')).length,
    packages: [...new Set(packages)].toSorted(),
  };
}

interface Part {
  readonly input: Readonly<Record<string, string>>;
  readonly plugins?: readonly Plugin[];
  readonly codeSplitting?: CodeSplittingOptions;
  readonly treeshake?: InputOptions['treeshake'];
}

/** Returns the ids of the bundled modules. */
async function write(
  target: string,
  { input, plugins = [], codeSplitting = {}, treeshake = true }: Part,
): Promise<string[]> {
  await using build = await rolldown({
    cwd: root,
    input: { ...input },
    platform: 'node',
    // koffi loads its native library from its own folder.
    external: ['koffi'],
    treeshake,
    plugins: [...plugins, builtins],
    // Importing a module both lazily and eagerly is no fault, nor is a busy machine.
    checks: { ineffectiveDynamicImport: false, bundlerTimings: false },
    onLog: (level, log) => {
      if (level === 'warn') throw new Error(log.message);
    },
  });
  const { output } = await build.write({
    dir: target,
    entryFileNames: '[name].js',
    chunkFileNames: '[name]-[hash].js',
    comments: { legal: true, annotation: false, jsdoc: false },
    codeSplitting,
  });
  return output.flatMap((file) => (file.type === 'chunk' ? file.moduleIds : []));
}

/**
 * The modules that source modules load eagerly, directly or not, themselves included. Complete when all
 * modules are known.
 */
function modulesBehind(...paths: readonly string[]): { readonly plugin: Plugin; holds(id: string): boolean } {
  const found = new Set<string>();
  return {
    holds: (id) => found.has(id),
    plugin: {
      name: `modules behind ${paths.join(', ')}`,
      buildEnd() {
        for (const path of paths) found.add(join(src, path));
        for (const id of found) for (const next of this.getModuleInfo(id)?.importedIds ?? []) found.add(next);
      },
    },
  };
}

/** Leaves the imports of a module to another build, which has it beside the files of this one. */
function apart(module: string): Plugin {
  return {
    name: `${module} apart`,
    async resolveId(source, importer) {
      const found = await this.resolve(source, importer, { skipSelf: true });
      return found?.id === module ? { id: `./${basename(module, '.ts')}.js`, external: true } : null;
    },
  };
}

/**
 * Loads the modules of Node.js by a call, not by `import`. An `import` reads all exports of such a module,
 * including lazily created ones: that of `node:http` costs 25 ms, since a whole HTTP client is behind its
 * `WebSocket`.
 */
const builtins: Plugin = {
  name: 'builtins',
  renderChunk(code) {
    // The imports are at the start, one per line. Parsing all of the code takes seconds.
    const [imports = ''] = /^(?:import .*\n)*/.exec(code) ?? [];
    let result = '';
    let end = 0;
    for (const statement of parseAst(imports).body) {
      if (statement.type !== 'ImportDeclaration' || !statement.source.value.startsWith('node:')) continue;
      const names = statement.specifiers.map((specifier) => {
        if (specifier.type !== 'ImportSpecifier') return { whole: specifier.local.name };
        const { imported, local } = specifier;
        const name = imported.type === 'Identifier' ? imported.name : imported.value;
        return { part: name === local.name ? name : `${name}: ${local.name}` };
      });
      const source = `process.getBuiltinModule('${statement.source.value}')`;
      const parts = names.flatMap(({ part }) => part ?? []);
      const lines = names.flatMap(({ whole }) => (whole === undefined ? [] : `const ${whole} = ${source};`));
      if (parts.length > 0) lines.push(`const { ${parts.join(', ')} } = ${source};`);
      result += code.slice(end, statement.start) + lines.join('\n');
      end = statement.end;
    }
    return result + code.slice(end);
  },
};
