import { spawn } from 'node:child_process';
import { appendFileSync, existsSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { makeSiteTree } from './demo/site-tree.ts';
import { compareTrees, readTreeFacts, type TreeFacts } from './demo/tree-digest.ts';

/**
 * The main task from end to end with the real command, in a temporary folder: create a volume, fill it, back
 * it up, lose it, restore it, and prove that every byte is the same.
 */
const command = join(dirname(import.meta.dirname), 'bin/holdfast');
const folder = realpathSync(mkdtempSync(join(tmpdir(), 'holdfast-demo-')));
const env = demoEnvironment();
const isTerminal = process.stdout.isTTY;

process.once('SIGINT', () => leave(130));
process.once('SIGTERM', () => leave(143));

try {
  await tell();
} catch (error) {
  console.error(`\nThe demo failed: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}

async function tell(): Promise<void> {
  const started = performance.now();
  say('Holdfast needs a state folder, a key, and a repository: an encrypted store for snapshots.');
  await holdfast('init', '--repo', join(folder, 'repository'));

  say(
    'A volume for a web application. No container engine is needed for this: the volume is a plain folder.',
  );
  await holdfast('volume', 'create', 'web');
  const site = join(folder, 'site');
  makeSiteTree(site);
  await holdfast('volume', 'cp', './site/.', 'web:/');
  const root = await findRoot();

  const before = readTreeFacts(root);
  show('What the volume holds', before);

  say('The first backup reads everything.');
  await holdfast('backup', 'web');

  say('Two files are changed. The next backup stores only what is new.');
  appendFileSync(join(root, 'pages/section-7/page-7.html'), '<p>one more line</p>\n');
  writeFileSync(join(root, 'pages/new.html'), '<h1>New</h1>\n');
  const changed = readTreeFacts(root);
  await holdfast('backup', 'web', '--tag', 'after-the-change');
  await holdfast('snapshots', 'web');

  say('The volume is lost.');
  await holdfast('volume', 'rm', 'web');
  if (existsSync(root)) throw new Error(`the volume was removed, but "${root}" is still there`);
  await holdfast('volume', 'ls');

  say('It comes back from the repository, with its labels and options.');
  await holdfast('restore', 'web', '--yes');
  const after = readTreeFacts(await findRoot());
  show('What the volume holds now', after);
  prove(changed, after);

  say('The day before the change is there as well: as a new volume, beside the other.');
  await holdfast('restore', `web@${await firstSnapshot()}`, '--to', 'web-before', '--yes');
  prove(before, readTreeFacts(await findRoot('web-before')));

  say('Is the repository itself sound? Read all of it and see.');
  await holdfast('check', '--read-data');
  finish(started);
}

function finish(started: number): void {
  const seconds = ((performance.now() - started) / 1000).toFixed(0);
  console.log(`
Every path, byte, mode, owner, time, link, hole and attribute came back. That took ${seconds} seconds.

Try next:
  bin/holdfast --help               all commands
  bin/holdfast setup                nightly backups of this machine: shows its plan, and asks
  bin/holdfast volume ls            the volumes of this machine's Docker Engine, or of Holdfast itself
  bin/holdfast backup --all         back all of them up
  npm test                          see it tested against the real Docker Engine and the real restic
`);
}

/** Keeps this user's own settings from affecting the demo. */
function demoEnvironment(): NodeJS.ProcessEnv {
  const own = Object.entries(process.env).filter(([name]) => !name.startsWith('HOLDFAST_'));
  return { ...Object.fromEntries(own), HOLDFAST_STATE_DIR: join(folder, 'state'), HOLDFAST_HOST: 'embedded' };
}

/** Runs the command as a user would, shows it with its output, and returns its standard output. */
async function holdfast(...args: string[]): Promise<string> {
  const shown = args.map((argument) => argument.replace(`${folder}/`, './'));
  console.log(`\n${bold(`$ holdfast ${shown.join(' ')}`)}`);
  return await run(args, { show: true });
}

async function run(args: readonly string[], options: { readonly show: boolean }): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const child = spawn(command, args, { cwd: folder, env, stdio: ['ignore', 'pipe', 'inherit'] });
  const output: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => {
    output.push(chunk);
    if (options.show) process.stdout.write(chunk);
  });
  child.on('error', reject);
  child.on('close', (code) => {
    if (code === 0) resolve(Buffer.concat(output).toString());
    else reject(new Error(`"holdfast ${args.join(' ')}" ended with exit code ${code}`));
  });
  return await promise;
}

/** The folder of the volume's files, from the command itself. */
async function findRoot(name = 'web'): Promise<string> {
  const text = await run(['volume', 'inspect', name, '--format', 'json'], { show: false });
  const found = /"mountpoint":\s*("(?:[^"\\]|\\.)*")/i.exec(text)?.[1];
  if (found === undefined) throw new Error(`"holdfast volume inspect" names no mountpoint: ${text}`);
  return JSON.parse(found) as string;
}

async function firstSnapshot(): Promise<string> {
  const text = await run(['snapshots', 'web', '--format', 'json'], { show: false });
  const snapshots = JSON.parse(text) as readonly { readonly id: string; readonly time: string }[];
  const [oldest] = snapshots.toSorted((a, b) => (a.time < b.time ? -1 : 1));
  if (oldest === undefined) throw new Error('"holdfast snapshots" lists none');
  return oldest.id.slice(0, 12);
}

function prove(expected: TreeFacts, actual: TreeFacts): void {
  const differences = compareTrees(expected, actual);
  if (differences.length > 0 || expected.digest !== actual.digest) {
    throw new Error(`${differences.length} paths differ:\n${differences.slice(0, 20).join('\n')}`);
  }
  console.log(
    `\n  ${bold('The same')}: ${expected.entries.size} paths compared by byte, mode, owner, time and link, no difference.`,
  );
}

function show(title: string, facts: TreeFacts): void {
  const megabytes = (facts.bytes / 1e6).toFixed(1);
  console.log(`
  ${title}: ${facts.files} files, ${megabytes} MB; ${facts.hardLinked} hard links, ${facts.sparse} sparse, ${facts.withXattrs} with attributes`);
}

function say(text: string): void {
  console.log(`\n# ${text}`);
}

function bold(text: string): string {
  return isTerminal ? `\u001b[1m${text}\u001b[22m` : text;
}

function leave(code: number): void {
  rmSync(folder, { recursive: true, force: true });
  process.exit(code);
}
