import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runCommand } from '../../scripts/run-command.ts';
import { command, holdfastCommand } from '../support/holdfast-command.ts';

/** Tables of cron that are the machine's for all that runs in these namespaces, where no other cron runs. */
const alone = `
mkdir -p /etc/cron.d /var/spool/cron
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /var/spool/cron
mount --bind "$0/crontab" /etc/crontab
mount --bind "$0/cron.d" /etc/cron.d
echo ready
exec sleep infinity`;

let folder: string;
let holder: ChildProcess;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'cron-'));
  mkdirSync(join(folder, 'cron.d'));
  writeFileSync(join(folder, 'crontab'), '');
  const own = ['--mount', '--propagation', 'private', '--pid', '--fork', '--kill-child', '--mount-proc'];
  holder = spawn('unshare', [...own, 'sh', '-e', '-c', alone, folder], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [said] = (await Promise.race([once(holder.stdout!, 'data'), once(holder, 'exit')])) as [unknown];
  expect(String(said)).toBe('ready\n');
});
afterAll(async () => {
  await end(holder);
  rmSync(folder, { recursive: true });
});

async function end(child: ChildProcess): Promise<void> {
  const ended = once(child, 'exit');
  if (child.exitCode === null && child.kill('SIGKILL')) await ended;
}

function inside(): string[] {
  const namespaces = `/proc/${holder.pid}/ns`;
  return [`--mount=${namespaces}/mnt`, `--pid=${namespaces}/pid_for_children`, '--'];
}

/** Debian's own. */
async function startCron(): Promise<AsyncDisposable> {
  const cron = spawn('nsenter', [...inside(), 'cron', '-f'], { stdio: 'ignore' });
  await once(cron, 'spawn');
  const ended = once(cron, 'exit');
  return {
    async [Symbol.asyncDispose]() {
      await runCommand('nsenter', [...inside(), 'sh', '-c', 'kill $(cat /run/crond.pid)']);
      // It has forked: cron is not its process.
      await ended;
    },
  };
}

/** One with a volume, and a repository on storage that can go away. Each try of a test has its own. */
async function makeState(name: string) {
  const stateDir = mkdtempSync(join(folder, `${name}-`));
  const repository = `${stateDir}-repository`;
  const holdfast = holdfastCommand(stateDir);
  await holdfast.run('init', '--repo', repository);
  await holdfast.createVolume('data');
  return { ...holdfast, stateDir, repository };
}

function writeTable(...lines: readonly string[]): void {
  const variables = `PATH=${process.env['PATH']}\nHOLDFAST_HOST=embedded\n`;
  writeFileSync(join(folder, 'cron.d/nightly'), `${variables}${lines.join('\n')}\n`, { mode: 0o644 });
}

/** What cron begins at the next minute. */
function backUpSoon(...stateDirs: readonly string[]): void {
  const minute = new Date(Date.now() + 65_000).getMinutes();
  writeTable(
    ...stateDirs.map((state) => `${minute} * * * * root HOLDFAST_STATE_DIR=${state} ${command} backup --all`),
  );
}

/** What is found of cron six hours later, when what it has begun has come to its end. */
async function look({ stateDir }: { readonly stateDir: string }): Promise<string[]> {
  const later = 'const now = Date.now.bind(Date); Date.now = () => now() + 21_600_000;';
  const words = [...inside(), command, 'doctor', '--format', 'json'];
  const { stdout, output } = await runCommand('nsenter', words, {
    env: {
      ...process.env,
      HOLDFAST_STATE_DIR: stateDir,
      HOLDFAST_HOST: 'embedded',
      NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(later)}`,
    },
  });
  expect(output).toContain('"findings"');
  const { findings } = JSON.parse(stdout) as {
    readonly findings: readonly {
      readonly id: string;
      readonly message: string;
      readonly evidence: readonly string[];
    }[];
  };
  return findings
    .filter(({ id }) => id === 'HF-D099')
    .map(({ message, evidence }) => `${message}: ${evidence.join('; ')}`);
}

const patience = { timeout: 180_000, interval: 2000 };

test('an entry of cron that runs Holdfast where cron does not find it, or without a cron, is told of', async () => {
  const state = await makeState('lost');
  const messages = async (): Promise<string> => (await look(state)).join('\n');
  writeTable('PATH=/usr/bin:/bin', '0 3 * * * root holdfast backup --all');
  expect(await messages()).toContain('which is in no folder that cron looks into');
  expect(await messages()).toContain('no cron runs on this machine');
  writeTable(`0 3 * * * root ${command} backup --all`);
  expect(await messages()).not.toContain('no folder that cron looks into');
  await using _cron = await startCron();
  await expect.poll(messages, patience).toBe('');
});

test('a backup that cron began and that failed is told of until cron, or a person, has made a good one', async () => {
  await using _cron = await startCron();
  const [byCron, byHand] = [await makeState('by-cron'), await makeState('by-hand')];
  const both = [byCron, byHand];
  for (const { repository } of both) renameSync(repository, `${repository}-away`);
  backUpSoon(byCron.stateDir, byHand.stateDir);
  for (const state of both) {
    const saysFailed = async (): Promise<string> => (await look(state)).join('\n');
    await expect
      .poll(saysFailed, patience)
      .toMatch(/^Line \d of "\/etc\/cron\.d\/nightly" saves, and .* has failed: .*"all volumes": .*$/);
  }
  for (const { repository } of both) renameSync(`${repository}-away`, repository);
  await byHand.run('backup', '--all');
  expect(await look(byHand)).toEqual([]);
  expect(await look(byCron)).toHaveLength(1);
  backUpSoon(byCron.stateDir);
  await expect.poll(() => look(byCron), patience).toEqual([]);
  expect(await byCron.run('snapshots', 'data', '--quiet')).toMatch(/\S/);
});
