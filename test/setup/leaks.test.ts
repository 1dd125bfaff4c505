import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { runCommand } from '../../scripts/run-command.ts';

const root = join(import.meta.dirname, '../..');
let project: string;

afterEach(() => rmSync(project, { recursive: true, force: true }));

/** Runs files of one test each, with these bodies, in a process of a project of its own that uses the leak checks. */
async function runTest(...bodies: string[]): Promise<{ exitCode: number; output: string }> {
  project = mkdtempSync(join(tmpdir(), 'leaks-'));
  symlinkSync(join(root, 'node_modules'), join(project, 'node_modules'));
  const setup = JSON.stringify(join(root, 'test/setup/leaks.ts'));
  writeFileSync(
    join(project, 'vitest.config.mjs'),
    `export default { test: { setupFiles: [${setup}], pool: 'forks', isolate: false, maxWorkers: 1, fsModuleCache: false } };`,
  );
  for (const [index, body] of bodies.entries())
    writeFileSync(
      join(project, `${index}.test.mjs`),
      `import { expect, test } from 'vitest';\ntest('it', async () => {${body}});`,
    );
  const vitest = join(root, 'node_modules/vitest/vitest.mjs');
  return await runCommand(process.execPath, [vitest, 'run', '--root', project], {
    env: { ...process.env, NO_COLOR: '1' },
  });
}

test('a file whose tests clean up passes', async () => {
  const result = await runTest(`
    const { mkdtempSync, rmSync } = await import('node:fs');
    rmSync(mkdtempSync(process.env.TMPDIR + '/x-'), { recursive: true });`);
  expect(result.output).toContain('1 passed');
  expect(result.exitCode).toBe(0);
});

test('a file whose tests leave a temporary folder fails, and the folder is named and removed', async () => {
  const result = await runTest(`
    const { mkdirSync } = await import('node:fs');
    mkdirSync(process.env.TMPDIR + '/left-here');`);
  expect(result.output).toContain('left behind a temporary file: left-here');
  expect(result.exitCode).toBe(1);
});

test('a file whose tests leave a detached process fails, and the process is ended', async () => {
  const result = await runTest(`
    const { spawn } = await import('node:child_process');
    const child = spawn('sh', ['-c', 'sleep 61 & sleep 61'], { detached: true, stdio: 'ignore' });
    await new Promise((resolve) => child.once('spawn', resolve));
    child.unref();`);
  expect(result.output).toMatch(/left behind a running process: \d+ s/);
  expect(result.exitCode).toBe(1);
  const pids = [...result.output.matchAll(/a running process: (\d+)/g)].map((match) => Number(match[1]));
  expect(pids.length).toBeGreaterThan(0);
  expect(pids.filter(isRunning)).toEqual([]);
});

test('of files that share a process each begins as the first did, and fails for what it has left itself', async () => {
  const used = `
    const { mkdirSync, rmSync } = await import('node:fs');
    expect(process.env.LEFT).toBeUndefined();
    expect(process.env.HOLDFAST_STATE_DIR).toBeUndefined();
    expect(process.env.PATH).not.toBe('nowhere');
    Object.assign(process.env, { LEFT: 'yes', HOLDFAST_STATE_DIR: 'x', PATH: 'nowhere' });
    globalThis.folders ??= [];
    expect(globalThis.folders).not.toContain(process.env.TMPDIR);
    globalThis.folders.push(process.env.TMPDIR);
    console.log('folder ' + globalThis.folders.length);
    mkdirSync(process.env.TMPDIR + '/x');`;
  const clean = `${used} rmSync(process.env.TMPDIR + '/x', { recursive: true });`;
  const result = await runTest(clean, used, clean);
  expect(result.output).toContain('folder 3');
  expect(result.output).toContain('Tests  3 passed');
  expect(result.output).toContain('Test Files  1 failed | 2 passed');
  expect(result.output.match(/left behind/g)).toHaveLength(1);
  expect(result.exitCode).toBe(1);
});

test('a file whose tests change their process fails, and the next one finds it as it was', async () => {
  const change = `
    const { vi } = await import('vitest');
    process.umask(0o077);
    process.chdir('/');
    process.execPath = '/nowhere';
    vi.useFakeTimers({ toFake: ['Date'], now: 0 });`;
  const look = `
    const { vi } = await import('vitest');
    expect(vi.isFakeTimers()).toBe(false);
    const { readFileSync } = await import('node:fs');
    expect(readFileSync('/proc/self/status', 'utf8')).not.toMatch(/^Umask:\\s*0*77$/m);
    expect(process.cwd()).not.toBe('/');
    expect(process.execPath).not.toBe('/nowhere');`;
  const { output, exitCode } = await runTest(change, look);
  expect(output).toMatch(
    /left behind another umask than \d+, another folder than \S+, another Node.js than \S+, another clock/,
  );
  expect(output).toContain('Tests  2 passed');
  expect(output).toContain('Test Files  1 failed | 1 passed');
  expect(exitCode).toBe(1);
});

/** An ended process that its new parent has not collected yet is a zombie, and has no command line any more. */
function isRunning(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`).length > 0;
  } catch {
    return false;
  }
}
