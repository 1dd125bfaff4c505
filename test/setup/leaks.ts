import { randomBytes } from 'node:crypto';
import { chmodSync, mkdirSync, mkdtempSync, realpathSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import {
  endProcesses,
  findProcesses,
  leftoverFiles,
  mountsBelow,
  removeFolder,
  unmountAll,
} from './leftovers.ts';

/**
 * Runs before each test file: gives it a temporary folder, a home and a mark of its own, and fails the file when its
 * tests leave anything behind: files, mounts, or processes (children inherit the mark in their environment).
 */
const environment = { ...process.env };
const folder = realpathSync(mkdtempSync(join(tmpdir(), 'hf-')));
const temporary = join(folder, 't');
const home = join(folder, 'h');
mkdirSync(temporary);
mkdirSync(home);
// As in /tmp itself, a test that drops its rights gets through.
chmodSync(folder, 0o711);
chmodSync(temporary, 0o1777);

const mark = `HOLDFAST_TEST_FILE=${randomBytes(12).toString('hex')}`;

for (const name of Object.keys(process.env)) {
  if (/^(HOLDFAST_|XDG_|DOCKER_|RESTIC_|BORG_)/.test(name) && !name.startsWith('HOLDFAST_TEST_')) {
    delete process.env[name];
  }
}
process.env['HOLDFAST_TEST_FILE'] = mark.slice('HOLDFAST_TEST_FILE='.length);
process.env['TMPDIR'] = temporary;
process.env['HOME'] = home;
// Shared, or else every home and every worker thread would compile all sources anew.
process.env['NODE_COMPILE_CACHE'] ??= join(import.meta.dirname, '../../node_modules/.cache/holdfast-code');

// Registered first, so it runs after every hook of the tests themselves.
afterAll(async () => {
  const processes = await findProcesses(mark, { graceMs: 10_000 });
  await endProcesses(processes);
  const mounts = mountsBelow(folder);
  unmountAll(mounts);
  const files = leftoverFiles(temporary);
  removeFolder(folder);
  // The next file may run in this process, and finds all as this one did.
  for (const name of Object.keys(process.env)) delete process.env[name];
  Object.assign(process.env, environment);
  const leaks = [
    ...processes.map((found) => `a running process: ${found.pid} ${found.command}`),
    ...mounts.map((point) => `a mount: ${point}`),
    ...files.map((name) => `a temporary file: ${name}`),
  ];
  if (leaks.length > 0) throw new Error(`The tests of this file left behind ${leaks.join(', ')}`);
  // Longer than it waits for processes, wherever it is used.
}, 120_000);
