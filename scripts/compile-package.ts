import { copyFileSync, existsSync, globSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { testFile } from './checks/import-rules.ts';
import { mustRun } from './run-command.ts';

const root = dirname(import.meta.dirname);
const tests = new RegExp(testFile);

/** Compiles the sources into a folder, which is made anew, with all that they read at run time. Gives back how many there are. */
export async function compilePackage(target: string): Promise<number> {
  rmSync(target, { recursive: true, force: true });
  const compiler = ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.build.json', '--outDir', target];
  await mustRun(process.execPath, compiler, { cwd: root });
  copyOtherFiles(target);
  return checkComplete(target);
}

/** What the product reads at run time and the compiler does not know. */
function copyOtherFiles(target: string): void {
  for (const path of globSync('**/*.{sql,json,wasm,fish,bash,zsh}', { cwd: join(root, 'src') })) {
    mkdirSync(dirname(join(target, path)), { recursive: true });
    copyFileSync(join(root, 'src', path), join(target, path));
  }
}

function checkComplete(target: string): number {
  // A declaration without code is for the compiler only.
  const sources = globSync('**/*.ts', { cwd: join(root, 'src') }).filter(
    (path) => !tests.test(path) && !path.endsWith('.d.ts'),
  );
  const missing = sources.filter((path) => !existsSync(join(target, path.replace(/\.ts$/, '.js'))));
  if (sources.length === 0 || missing.length > 0)
    throw new Error(`${target} lacks ${missing.join(', ') || 'everything'}`);
  const foreign = globSync('**/*.js', { cwd: target }).filter((path) =>
    /\bfrom ['"](?:vitest|fast-check)|\bfrom ['"]\.[^'"]*\.ts['"]/.test(
      readFileSync(join(target, path), 'utf8'),
    ),
  );
  if (foreign.length > 0) throw new Error(`${target} imports what is not in it: ${foreign.join(', ')}`);
  return sources.length;
}
