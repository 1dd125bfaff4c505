import { globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { compilePackage } from './compile-package.ts';
import { mustRun } from './run-command.ts';

/** Builds dist/ for npm, then proves it: packs it, installs the package into an empty folder and runs it there. */
const root = dirname(import.meta.dirname);

try {
  console.log(`dist/ holds ${await compilePackage(join(root, 'dist'))} modules`);
  await proveInstalled();
} catch (error) {
  console.error(`The build failed: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
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
  // A command that opens the application, and so needs more modules than --version.
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
