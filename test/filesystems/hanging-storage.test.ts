import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { runProgram } from '../../src/lib/run-program.ts';
import { holdfastCommand } from '../support/holdfast-command.ts';

let folder: string;
let mount: string;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'hanging-'));
  mount = join(folder, 'mount');
  for (const name of ['cipher', 'mount', 'good']) mkdirSync(join(folder, name));
  writeFileSync(join(folder, 'good/file'), 'content');
  const password = ['-q', '-extpass', 'echo', '-extpass', 'secret'];
  await runProgram('gocryptfs', ['-init', '-scryptn', '10', ...password, join(folder, 'cipher')]);
  await runProgram('gocryptfs', [...password, join(folder, 'cipher'), mount]);
  writeFileSync(join(mount, 'file'), 'content');
});
afterEach(async () => {
  for (const pid of await daemons()) process.kill(pid, 'SIGCONT');
  await runProgram('umount', [mount]);
  rmSync(folder, { recursive: true });
});

/** The programs behind the mount. */
async function daemons(): Promise<number[]> {
  const { stdout } = await runProgram('pgrep', ['-f', `^[^ ]*gocryptfs .*${mount}$`]);
  return stdout.split('\n').filter(Boolean).map(Number);
}

test('storage that does not respond is reported after a while, and other targets are saved', async () => {
  const holdfast = holdfastCommand(join(folder, 'state'));
  await holdfast.run('init');
  const found = await daemons();
  expect(found.length).toBeGreaterThan(0);
  for (const pid of found) process.kill(pid, 'SIGSTOP');
  const result = await holdfast.attempt('backup', mount, join(folder, 'good'));
  expect(result.output).toContain(`Cannot read "${mount}": its storage did not answer within 10 seconds`);
  expect(result.exitCode).toBe(3);
  expect(await holdfast.run('ls', join(folder, 'good'), '-q')).toBe('file\n');
});
