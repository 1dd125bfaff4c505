import { spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { isStillRunning, runToEnd } from './run-to-end.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'to-end-'));
});
afterEach(() => rm(folder, { recursive: true }));

async function until(isTrue: () => boolean): Promise<void> {
  for (let tries = 0; !isTrue(); tries++) {
    if (tries > 2000) throw new Error('it never came');
    await sleep(10);
  }
}

test('a program gets its input, its status and output are returned, and no file stays', async () => {
  const result = await runToEnd('sh', ['-c', 'cat; echo no >&2; exit 3'], { input: 'in\n', folder });
  expect(result).toEqual({ status: 3, said: 'in\nno' });
  expect(readdirSync(folder)).toEqual([]);
});

test('a program that is not there is named with its package, and no file stays', async () => {
  await expect(runToEnd('no-such-program', [], { debianPackage: 'some', folder })).rejects.toMatchObject({
    code: 'unsupported',
    hint: 'On Debian: apt-get install some.',
  });
  expect(readdirSync(folder)).toEqual([]);
});

test('a cancelled caller waits for the program, which finishes', async () => {
  const cancel = new AbortController();
  const go = join(folder, 'go');
  const script = 'touch "$1/started"; until [ -e "$1/go" ]; do sleep 0.02; done; echo done';
  const running = runToEnd('sh', ['-c', script, 'sh', folder], { signal: cancel.signal, folder });
  await until(() => existsSync(join(folder, 'started')));
  expect(isStillRunning(folder)).toBe(true);
  cancel.abort();
  writeFileSync(go, '');
  expect(await running).toEqual({ status: 0, said: 'done' });
  expect(isStillRunning(folder)).toBe(false);
});

test('a caller that was cancelled before starts nothing', async () => {
  const started = join(folder, 'started');
  await expect(runToEnd('touch', [started], { signal: AbortSignal.abort(), folder })).rejects.toMatchObject({
    code: 'cancelled',
  });
  expect(existsSync(started)).toBe(false);
});

test('the program leads a session of its own, which the terminal of its caller does not reach', async () => {
  // Its process, group and session.
  const { said } = await runToEnd('cut', ['-d', ' ', '-f', '1,5,6', '/proc/self/stat'], { folder });
  const [pid, group, session] = said.split(' ');
  expect(group).toBe(pid);
  expect(session).toBe(pid);
});

test('a program whose caller was killed finishes, and counts as running until then', async () => {
  const module = new URL('run-to-end.ts', import.meta.url).href;
  const script = `
    const { runToEnd } = await import(${JSON.stringify(module)});
    const args = ['-c', 'touch "$1/started"; until [ -e "$1/go" ]; do echo word; sleep 0.02; done; echo word; touch "$1/done"', 'sh', process.argv[1]];
    await runToEnd('sh', args, { folder: process.argv[1] });`;
  const caller = spawn(process.execPath, ['--input-type=module', '-e', script, folder], { stdio: 'ignore' });
  const ended = new Promise((resolve) => caller.once('exit', resolve));
  await until(() => existsSync(join(folder, 'started')));
  caller.kill('SIGKILL');
  await ended;
  expect(isStillRunning(folder)).toBe(true);
  await expect(runToEnd('true', [], { folder })).rejects.toMatchObject({ code: 'locked' });
  writeFileSync(join(folder, 'go'), '');
  await until(() => existsSync(join(folder, 'done')));
  await until(() => !isStillRunning(folder));
  expect(readFileSync(join(folder, 'program.lock'), 'utf8')).toContain('word');
  expect(await runToEnd('echo', ['next'], { folder })).toEqual({ status: 0, said: 'next' });
});
