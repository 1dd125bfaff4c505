import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { runCommand } from '../run-command.ts';

/** Product code that only tests reach, one line each: files of `src` and `bench`, and what they export. */
export async function findTestOnlyCode(root: string): Promise<string[]> {
  const found = await reachedByTestsOnly(root, root);
  return found.map(
    ({ file, name }) => `${file}: only tests reach ${name ?? 'it'}; remove it, or move it to the tests`,
  );
}

const planted: Readonly<Record<string, string>> = {
  'src/surfaces/cli/main.ts':
    "import { a } from '../../a.ts'; import { f } from '../../room/index.ts'; a(f);",
  'src/a.ts': 'export const a = (value: number) => b(value); export const b = (value: number) => value;',
  'src/room/index.ts': "export { f, unneeded } from './f.ts';",
  'src/room/f.ts': 'export const f = 1; export const unneeded = 2; export const untouched = 3;',
  'src/c.ts': 'export const c = 1;',
  'src/d-worker.ts': "import { e } from './e.ts'; console.log(e);",
  'src/e.ts': 'export const e = 1;',
  'src/a.test.ts':
    "import { b } from './a.ts'; import { c } from './c.ts'; import { unneeded } from './room/index.ts'; import { untouched } from './room/f.ts'; console.log(b, c, unneeded, untouched);",
  'package.json': '{"name":"fixture","type":"module"}',
};
const offences = [
  'src/c.ts',
  'src/room/f.ts unneeded',
  'src/room/f.ts untouched',
  'src/room/index.ts unneeded',
];

/** Proves on a generated tree that such code is found, and nothing else; returns what was wrong. */
export async function proveTestOnlyCode(root: string): Promise<string[]> {
  const tree = mkdtempSync(join(tmpdir(), 'product-code-'));
  try {
    for (const [path, text] of Object.entries(planted)) {
      mkdirSync(dirname(join(tree, path)), { recursive: true });
      writeFileSync(join(tree, path), `${text}\n`);
    }
    symlinkSync(join(root, 'node_modules'), join(tree, 'node_modules'));
    const found = (await reachedByTestsOnly(root, tree))
      .map(({ file, name }) => (name === undefined ? file : `${file} ${name}`))
      .toSorted();
    if (found.join() === offences.join()) return [];
    return [
      `of planted code that only tests reach (${offences.join(', ')}), this was found: ${found.join(', ')}`,
    ];
  } finally {
    rmSync(tree, { recursive: true, force: true });
  }
}

interface Unreached {
  readonly file: string;
  /** Undefined for a whole file. */
  readonly name: string | undefined;
}

interface KnipIssue {
  readonly file: string;
  readonly files: readonly unknown[];
  readonly exports: readonly { readonly name: string }[];
  readonly types: readonly { readonly name: string }[];
}

/** What knip, with the configuration of `root`, reports as unused in `tree` when tests do not count. */
async function reachedByTestsOnly(root: string, tree: string): Promise<Unreached[]> {
  const config = join(root, 'knip.json');
  const knip = [join(root, 'node_modules/knip/bin/knip.js'), '--production', '--config', config];
  const options = [
    '--include',
    'files,exports,types',
    '--reporter',
    'json',
    '--no-exit-code',
    '--no-progress',
  ];
  const { exitCode, output } = await runCommand(process.execPath, [...knip, ...options], {
    cwd: tree,
    env: { ...process.env, NO_COLOR: '1' },
  });
  if (exitCode !== 0) throw new Error(`knip ended with exit code ${exitCode}: ${output}`);
  const { issues } = JSON.parse(output) as { readonly issues: readonly KnipIssue[] };
  return issues.flatMap(({ file, files, exports, types }) => [
    ...files.map(() => ({ file, name: undefined })),
    ...[...exports, ...types].map(({ name }) => ({ file, name })),
  ]);
}
