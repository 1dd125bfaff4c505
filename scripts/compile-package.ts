import { globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { bundle } from './bundle.ts';
import { mustRun } from './run-command.ts';

const root = dirname(import.meta.dirname);

/**
 * Compiles the sources into a folder, which is emptied first: the bundle, the licences of the bundled
 * packages, and the library's types. Returns the number of bundled modules.
 */
export async function compilePackage(target: string): Promise<number> {
  // First: until all is there again, bin/holdfast in a checkout starts from the sources.
  rmSync(join(target, 'sources'), { force: true });
  const before = await sourcesPrint();
  const { modules, packages } = await bundle(target);
  writeFormerEntry(target);
  writeFileSync(join(target, 'THIRD-PARTY-NOTICES'), noticesOf(packages));
  const compiler = ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.build.json'];
  await mustRun(process.execPath, [...compiler, '--outDir', join(target, 'types')], { cwd: root });
  // For bin/holdfast in a checkout, which runs the bundle only if it is of the current sources.
  if (before !== '' && before === (await sourcesPrint())) writeFileSync(join(target, 'sources'), before);
  return modules;
}

/** Where an earlier version had its program: units of systemd that it made for a Node.js of the machine start it there. */
function writeFormerEntry(target: string): void {
  mkdirSync(join(target, 'surfaces/cli'), { recursive: true });
  writeFileSync(join(target, 'surfaces/cli/main.js'), "import '../../main.js';\n");
}

async function sourcesPrint(): Promise<string> {
  return await mustRun(join(root, 'scripts/sources-print'), [], { cwd: root });
}

/** The licences of bundled packages require that their text is included. */
function noticesOf(packages: readonly string[]): string {
  const notices = packages.map((path) => {
    const folder = resolve(root, path);
    const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as {
      readonly name: string;
      readonly version: string;
      readonly license: string;
    };
    const [file] = globSync('{LICEN[CS]E,NOTICE}*', { cwd: folder });
    if (file === undefined && manifest.license !== 'Apache-2.0') throw new Error(`${path} brings no licence`);
    const text = file === undefined ? 'See LICENSE.' : readFileSync(join(folder, file), 'utf8').trim();
    return `${manifest.name} ${manifest.version} (${manifest.license})\n\n${text}\n`;
  });
  return `The compiled code of Holdfast holds code of these packages.\n\n${notices.join(`\n${'-'.repeat(80)}\n\n`)}`;
}
