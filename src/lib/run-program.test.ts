import { closeSync, existsSync, openSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { runProgram } from './run-program.ts';

test('never takes a part of the output for the whole', async () => {
  await expect(runProgram('head', ['-c', String(3 << 20), '/dev/zero'])).rejects.toMatchObject({
    code: 'failed',
    message: '"head" says more than can be taken in',
  });
});

test('a program gets its input, and its status and output are returned', async () => {
  const result = await runProgram('sh', ['-c', 'cat; echo no >&2; exit 3'], { input: 'in' });
  expect(result).toEqual({ status: 3, stdout: 'in', stderr: 'no' });
});

test('a letter that arrives in two parts is one', async () => {
  const result = await runProgram('sh', ['-c', 'printf "\\303"; sleep 0.2; printf "\\251"']);
  expect(result.stdout).toBe('é');
});

test('a program that is not there is named with its package', async () => {
  await expect(runProgram('no-such-program', [], { debianPackage: 'some-package' })).rejects.toMatchObject({
    code: 'unsupported',
    message: 'The program "no-such-program" is not installed',
    hint: 'On Debian: apt-get install some-package.',
  });
});

test('a program that ended while this process stood still did not take too long', async () => {
  const running = runProgram('echo', ['done'], { timeoutMs: 100 });
  const until = performance.now() + 500;
  while (performance.now() < until);
  expect(await running).toMatchObject({ status: 0, stdout: 'done\n' });
});

test('a program that hangs is not waited for', async () => {
  const before = Date.now();
  await expect(runProgram('sleep', ['30'], { timeoutMs: 200 })).rejects.toMatchObject({
    code: 'unavailable',
  });
  await expect(runProgram('sleep', ['30'], { signal: AbortSignal.timeout(200) })).rejects.toMatchObject({
    code: 'cancelled',
  });
  expect(Date.now() - before).toBeLessThan(18_000);
});

test('a program whose daemon keeps its output is not waited for', async () => {
  const before = Date.now();
  const { status, stdout } = await runProgram('sh', ['-c', 'sleep 60 & echo $!']);
  process.kill(Number(stdout), 'SIGKILL');
  expect(status).toBe(0);
  expect(Date.now() - before).toBeLessThan(15_000);
});

test('kills the children of a program with it, where requested', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'run-'));
  const file = join(folder, 'pid');
  const args = ['-c', 'sleep 30 & echo $! > "$0"; wait', file];
  const stop = new AbortController();
  const running = runProgram('sh', args, { signal: stop.signal, hasHelpers: true });
  running.catch(() => undefined); // Awaited below.
  await expect.poll(() => readFile(file, 'utf8').catch(() => '')).toMatch(/\n$/);
  stop.abort();
  await expect(running).rejects.toMatchObject({ code: 'cancelled' });
  const pid = Number(await readFile(file, 'utf8'));
  await expect.poll(() => existsSync(`/proc/${pid}/exe`)).toBe(false);
  await rm(folder, { recursive: true });
});

test('kills the children of a program that another process has killed, where requested', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'run-'));
  const file = join(folder, 'pid');
  const output = openSync(join(folder, 'output'), 'wx+');
  const args = ['-c', 'sleep 300 & echo $! > "$0"; kill -KILL $$', file];
  expect(await runProgram('sh', args, { output, hasHelpers: true })).toMatchObject({ status: undefined });
  closeSync(output);
  const pid = Number(await readFile(file, 'utf8'));
  await expect.poll(() => existsSync(`/proc/${pid}/exe`)).toBe(false);
  await rm(folder, { recursive: true });
});
