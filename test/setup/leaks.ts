import { randomBytes } from 'node:crypto';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, realpathSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, vi } from 'vitest';
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
 * tests leave anything behind: files, mounts, processes (children inherit the mark in their environment), or a process
 * that is not as it was. The next file may run in it.
 */
const environment = { ...process.env };
const settings = processSettings();
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
  // First, so that the next file begins as this one did even if what follows fails.
  for (const name of Object.keys(process.env)) delete process.env[name];
  Object.assign(process.env, environment);
  const changed = settings.filter(({ read, before }) => read() !== before);
  for (const { restore } of changed) restore();
  const processes = await findProcesses(mark, { graceMs: 10_000 });
  await endProcesses(processes);
  const mounts = mountsBelow(folder);
  unmountAll(mounts);
  const files = leftoverFiles(temporary);
  removeFolder(folder);
  const leaks = [
    ...changed.map(({ name, before }) => `another ${name} than ${String(before)}`),
    ...processes.map((found) => `a running process: ${found.pid} ${found.command}`),
    ...mounts.map((point) => `a mount: ${point}`),
    ...files.map((name) => `a temporary file: ${name}`),
  ];
  if (leaks.length > 0) throw new Error(`The tests of this file left behind ${leaks.join(', ')}`);
  // Longer than it waits for processes, wherever it is used.
}, 120_000);

interface ProcessSetting {
  readonly name: string;
  readonly before: unknown;
  read(): unknown;
  restore(): void;
}

/** What a test can change for its whole process, beside the environment. */
function processSettings(): ProcessSetting[] {
  return [
    setting(
      'user',
      () => process.geteuid?.() ?? 0,
      (id) => process.seteuid?.(id),
    ),
    setting(
      'group',
      () => process.getegid?.() ?? 0,
      (id) => process.setegid?.(id),
    ),
    setting(
      'umask',
      // Node.js can tell it only by changing it for a moment.
      () => /^Umask:\s*(\d+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '',
      (mask) => process.umask(mask),
    ),
    setting(
      'folder',
      () => process.cwd(),
      (path) => process.chdir(path),
    ),
    setting(
      'Node.js',
      () => process.execPath,
      (path) => (process.execPath = path),
    ),
    setting(
      'clock',
      () => (vi.isFakeTimers() ? 'a test’s' : 'the real one'),
      () => vi.useRealTimers(),
    ),
  ];
}

function setting<Value>(name: string, read: () => Value, write: (value: Value) => unknown): ProcessSetting {
  const before = read();
  return { name, before, read, restore: () => void write(before) };
}
