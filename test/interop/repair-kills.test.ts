import { spawn } from 'node:child_process';
import { randomBytes, randomInt } from 'node:crypto';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runCommand } from '../../scripts/run-command.ts';
import { command, holdfastCommand, type HoldfastCommand } from '../support/holdfast-command.ts';

/** How often each command is killed. */
const kills = 4;

let folder: string;
let location: string;
let damaged: string;
let holdfast: HoldfastCommand;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'interop-repair-kills-'));
  [location, damaged] = [join(folder, 'repository'), join(folder, 'damaged')];
  holdfast = holdfastCommand(join(folder, 'state'));
  await holdfast.run('init', '--repo', location);
  const root = await holdfast.createVolume('data');
  for (let round = 0; round < 3; round++) {
    for (let directory = 0; directory < 10; directory++) {
      mkdirSync(join(root, `d${directory}`), { recursive: true });
      for (let file = 0; file < 40; file++)
        writeFileSync(join(root, `d${directory}/f${file}`), randomBytes(2000 + file));
    }
    writeFileSync(join(root, 'large'), randomBytes(20_000_000));
    await holdfast.run('backup', 'data');
  }
  damageAll();
  cpSync(location, damaged, { recursive: true });
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Flips a bit of every second pack, and of one of the index files. */
function damageAll(): void {
  for (const [i, path] of filesOf('data').entries()) if (i % 2 === 0) flip(path, statSync(path).size >> 1);
  flip(filesOf('index')[0] ?? '', 60);
}

function filesOf(type: string): string[] {
  return readdirSync(join(location, type), { recursive: true, encoding: 'utf8' })
    .filter((name) => /[0-9a-f]{64}$/.test(name))
    .map((name) => join(location, type, name))
    .sort();
}

function flip(path: string, at: number): void {
  const bytes = readFileSync(path);
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  writeFileSync(path, bytes);
}

const steps = [
  ['repair', 'index', '--read-all-packs'],
  ['repair', 'packs', '--all-damaged', '--yes'],
  ['repair', 'snapshots', '--forget', '--yes'],
];

/** Runs a step to its end. Losses make it exit with 3 or 6. */
async function finish(args: readonly string[]): Promise<number> {
  const started = performance.now();
  const { exitCode, output } = await holdfast.attempt(...args);
  expect([0, 3, 6], output).toContain(exitCode);
  return performance.now() - started;
}

/** The result without a kill, and the duration of each step. */
async function rehearse(): Promise<{ left: string[]; took: number[] }> {
  const took: number[] = [];
  for (const step of steps) took.push(await finish(step));
  return { left: await whatIsLeft(), took };
}

/** Every file of every snapshot with its size, and restic's verdict. */
async function whatIsLeft(): Promise<string[]> {
  const env = { ...process.env, RESTIC_PASSWORD_FILE: join(folder, 'state/keys/default.key') };
  const restic = async (...args: string[]): Promise<string> => {
    const { exitCode, stdout, output } = await runCommand('restic', ['-r', location, '--no-cache', ...args], {
      env,
    });
    expect(exitCode, output).toBe(0);
    return stdout;
  };
  expect(await restic('check', '--read-data')).toContain('no errors were found');
  const snapshots = JSON.parse(await restic('snapshots', '--json')) as { id: string; time: string }[];
  const left: string[] = [];
  for (const { id, time } of snapshots) {
    const listing = await restic('ls', '--json', id);
    for (const line of listing.split('\n').slice(1).filter(Boolean)) {
      const { path, size = 0 } = JSON.parse(line) as { path: string; size?: number };
      left.push(`${time} ${path} ${size}`);
    }
  }
  return left.sort();
}

async function killedAfter(args: readonly string[], ms: number): Promise<boolean> {
  const child = spawn(command, args, {
    env: { ...process.env, HOLDFAST_STATE_DIR: join(folder, 'state'), HOLDFAST_HOST: 'embedded' },
    stdio: 'ignore',
  });
  const ended = new Promise<NodeJS.Signals | null>((resolve) => {
    child.once('exit', (_, signal) => resolve(signal));
  });
  await Promise.race([sleep(ms), ended]);
  child.kill('SIGKILL');
  return (await ended) === 'SIGKILL';
}

test('a repair killed at any moment can continue, with the same result', async () => {
  const { left, took } = await rehearse();
  expect(left.length).toBeGreaterThan(0);
  let killed = 0;
  const few = (kills * steps.length) / 6;
  for (let round = 0; round < kills || (killed <= few && round < 4 * kills); round++) {
    rmSync(location, { recursive: true });
    cpSync(damaged, location, { recursive: true });
    for (const [i, step] of steps.entries()) {
      const [began, fullMs] = [performance.now(), took[i] ?? 1];
      if (await killedAfter(step, randomInt(Math.ceil(fullMs)))) killed++;
      // The duration depends on the machine's load.
      else took[i] = Math.min(fullMs, performance.now() - began);
      await finish(step);
    }
    expect(await whatIsLeft(), `round ${round + 1}`).toEqual(left);
  }
  expect(killed).toBeGreaterThan(few);
}, 1_800_000);
