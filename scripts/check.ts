import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { cruiseImports, proveRules } from './checks/cruise-imports.ts';
import { findBrokenLinks, findGoneFiles } from './checks/links.ts';
import { findBundledNodeFaults, findPackageFaults } from './checks/packages.ts';
import { findTestOnlyCode, proveTestOnlyCode } from './checks/product-code.ts';
import { listProjectFiles, readText } from './checks/project-files.ts';
import { findBannedWords } from './checks/words.ts';
import { runCommand } from './run-command.ts';

/** Returns what is wrong, as text; empty when nothing is. */
type Check = (files: readonly string[]) => Promise<string>;

const root = dirname(import.meta.dirname);

const checks: Readonly<Record<string, Check>> = {
  types: () => runTool('typescript/bin/tsc', ['-p', '.', '--pretty', 'false']),
  lint: () => runTool('oxlint/bin/oxlint', ['--format', 'unix']),
  format: () => runTool('oxfmt/bin/oxfmt', ['--list-different', '.']),
  imports: checkImports,
  unused: () => runTool('knip/bin/knip.js', ['--no-progress', '--treat-config-hints-as-errors']),
  product: checkProduct,
  packages: () => Promise.resolve([...findPackageFaults(root), ...findBundledNodeFaults(root)].join('\n')),
  words: (files) => Promise.resolve(checkTexts(files, findBannedWords)),
  links: (files) =>
    Promise.resolve(
      checkTexts(
        files.filter((path) => path.endsWith('.md') || path.endsWith('/index.ts')),
        (path, text) => [
          ...(path.endsWith('.md') ? findBrokenLinks(root, path, text) : []),
          ...findGoneFiles(path, text, files),
        ],
      ),
    ),
};

process.exitCode = await main(process.argv.slice(2));

async function main(args: readonly string[]): Promise<number> {
  const names = args.filter((argument) => argument !== '--fix');
  const unknown = names.find((name) => checks[name] === undefined);
  if (unknown !== undefined) {
    console.error(
      `There is no check "${unknown}": npm run check -- [--fix] [${Object.keys(checks).join('|')}]`,
    );
    return 2;
  }
  const files = (await listProjectFiles(root)).filter((path) => existsSync(join(root, path)));
  if (args.includes('--fix')) await fix();
  const chosen = Object.entries(checks).filter(([name]) => names.length === 0 || names.includes(name));
  const results = await Promise.all(chosen.map(([name, check]) => runCheck(name, check, files)));
  const failed = results.filter((good) => !good).length;
  console.log(failed === 0 ? 'All checks are good.' : `${failed} of ${results.length} checks failed.`);
  return failed === 0 ? 0 : 1;
}

/** Prints one line for the check, and its output only when it failed. */
async function runCheck(name: string, check: Check, files: readonly string[]): Promise<boolean> {
  const start = performance.now();
  const output = await check(files).catch((error: unknown) => String(error));
  const seconds = ((performance.now() - start) / 1000).toFixed(1).padStart(6);
  console.log(`${output === '' ? 'good  ' : 'FAILED'} ${name.padEnd(9)} ${seconds} s`);
  if (output !== '') console.log(`\n${output.replace(/^/gm, '    ')}\n`);
  return output === '';
}

/** Runs the script of an installed package under this Node.js. */
async function runTool(script: string, args: readonly string[]): Promise<string> {
  const path = join(root, 'node_modules', script);
  const { exitCode, output } = await runCommand(process.execPath, [path, ...args], {
    cwd: root,
    env: { ...process.env, NO_COLOR: '1' },
  });
  if (exitCode === 0) return '';
  return output.trim() === '' ? `${script} ended with exit code ${exitCode}` : output.trim();
}

async function checkImports(files: readonly string[]): Promise<string> {
  const sources = files.filter((path) => /^(src|bench)\/.*\.ts$/.test(path));
  const [unproven, faults] = [await proveRules(), await cruiseImports(root, sources)];
  return [...unproven, ...faults].join('\n');
}

async function checkProduct(): Promise<string> {
  return [...(await proveTestOnlyCode(root)), ...(await findTestOnlyCode(root))].join('\n');
}

function checkTexts(files: readonly string[], check: (path: string, text: string) => string[]): string {
  if (files.length === 0) return 'there is no file to look at';
  return files
    .flatMap((path) => {
      const text = readText(root, path);
      return text === undefined ? [] : check(path, text);
    })
    .join('\n');
}

async function fix(): Promise<void> {
  await runTool('oxlint/bin/oxlint', ['--fix']);
  await runTool('oxfmt/bin/oxfmt', ['.']);
}
