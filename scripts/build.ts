import { copyFileSync, existsSync, globSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { testFile } from './checks/import-rules.ts';
import { type RunOptions, runCommand } from './run-command.ts';

/** Builds dist/ for npm, then proves it: packs it, installs the package into an empty folder and runs it there. */
const root = dirname(import.meta.dirname);
const tests = new RegExp(testFile);

try {
  await compile();
  copyOtherFiles();
  checkComplete();
  await proveInstalled();
} catch (error) {
  console.error(`The build failed: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}

async function compile(): Promise<void> {
  rmSync(join(root, 'dist'), { recursive: true, force: true });
  await mustRun(process.execPath, ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.build.json'], {
    cwd: root,
  });
}

/** What the product reads at run time and the compiler does not know. */
function copyOtherFiles(): void {
  for (const path of globSync('**/*.{sql,json,wasm,fish,bash,zsh}', { cwd: join(root, 'src') })) {
    mkdirSync(dirname(join(root, 'dist', path)), { recursive: true });
    copyFileSync(join(root, 'src', path), join(root, 'dist', path));
  }
}

function checkComplete(): void {
  // A declaration without code is for the compiler only.
  const sources = globSync('**/*.ts', { cwd: join(root, 'src') }).filter(
    (path) => !tests.test(path) && !path.endsWith('.d.ts'),
  );
  const missing = sources.filter((path) => !existsSync(join(root, 'dist', path.replace(/\.ts$/, '.js'))));
  if (sources.length === 0 || missing.length > 0)
    throw new Error(`dist/ lacks ${missing.join(', ') || 'everything'}`);
  const foreign = globSync('**/*.js', { cwd: join(root, 'dist') }).filter((path) =>
    /\bfrom ['"](?:vitest|fast-check)|\bfrom ['"]\.[^'"]*\.ts['"]/.test(
      readFileSync(join(root, 'dist', path), 'utf8'),
    ),
  );
  if (foreign.length > 0) throw new Error(`dist/ imports what is not in it: ${foreign.join(', ')}`);
  console.log(`dist/ holds ${sources.length} modules`);
}

async function proveInstalled(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-build-'));
  try {
    const packed = await mustRun(
      'npm',
      ['pack', '--json', '--ignore-scripts', '--pack-destination', folder],
      {
        cwd: root,
      },
    );
    const [tarball] = globSync('*.tgz', { cwd: folder });
    if (tarball === undefined) throw new Error(`npm pack made no package: ${packed}`);
    await mustRun(
      'npm',
      [
        'install',
        '--ignore-scripts',
        '--no-audit',
        '--no-fund',
        '--loglevel=error',
        '--prefix',
        folder,
        join(folder, tarball),
      ],
      { cwd: folder },
    );
    await proveCommand(folder);
    await proveLibrary(folder);
    console.log(`${tarball} installs and runs`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function proveCommand(folder: string): Promise<void> {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
  const command = join(folder, 'node_modules/.bin/holdfast');
  const said = await mustRun(command, ['--version'], { cwd: folder });
  if (!said.includes(version))
    throw new Error(`"holdfast --version" said "${said.trim()}" and not ${version}`);
  // A command that opens the application: it finds what --version does not need.
  await mustRun(
    command,
    ['volume', 'create', 'proof', '--host', 'embedded', '--state-dir', join(folder, 'state')],
    {
      cwd: folder,
    },
  );
}

/** Every path that package.json exports can be imported. */
async function proveLibrary(folder: string): Promise<void> {
  const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    exports: Record<string, unknown>;
  };
  for (const path of Object.keys(manifest.exports)) {
    const specifier = join('holdfast', path);
    const program = `const m = await import(${JSON.stringify(specifier)}); if (Object.keys(m).length === 0) throw m;`;
    await mustRun(process.execPath, ['--input-type=module', '-e', program], { cwd: folder });
  }
}

async function mustRun(program: string, args: readonly string[], options: RunOptions): Promise<string> {
  const result = await runCommand(program, args, options);
  if (result.exitCode !== 0) throw new Error(`${program} ${args.join(' ')}\n${result.output.trim()}`);
  return result.stdout;
}
