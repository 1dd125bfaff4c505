import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { runMeasured } from './run-measured.ts';

let home = '';
const { signal } = new AbortController();

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'hf-measure-'));
});

afterEach(() => {
  rmSync(home, { recursive: true });
});

const node = (script: string) => ({ program: process.execPath, args: ['-e', script] });

it('measures processor time and memory of a process and not of this one', async () => {
  const busy = await runMeasured(
    node('const kept = Buffer.alloc(150e6, 1); while (process.cpuUsage().user < 400e3) kept[0]++;'),
    { home, signal },
  );
  expect(busy.wallMs).toBeGreaterThan(200);
  expect(busy.cpuMs).toBeGreaterThan(200);
  expect(busy.peakBytes).toBeGreaterThan(150e6);
  const idle = await runMeasured({ program: 'sleep', args: ['0.3'] }, { home, signal });
  expect(idle.wallMs).toBeGreaterThan(299);
  expect(idle.cpuMs).toBeLessThan(100);
  expect(idle.peakBytes).toBeGreaterThan(100_000);
  expect(idle.peakBytes).toBeLessThan(20e6);
});

it('counts what a child of the process uses', async () => {
  const script = `require('node:child_process').spawnSync(process.execPath, ['-e', 'const kept = Buffer.alloc(200e6, 1); while (process.cpuUsage().user < 400e3) kept[0]++'])`;
  const { cpuMs, peakBytes } = await runMeasured(node(script), { home, signal });
  expect(cpuMs).toBeGreaterThan(200);
  expect(peakBytes).toBeGreaterThan(200e6);
});

it('reports how a command failed and its last output, and leaves no log behind', async () => {
  const failing = node('console.error("the disk is on fire"); process.exitCode = 3');
  await expect(runMeasured(failing, { home, signal })).rejects.toMatchObject({
    code: 'failed',
    message: expect.stringContaining('exit code 3') as string,
    detail: 'the disk is on fire',
  });
  expect(readdirSync(home)).toEqual([]);
});

it('reports a missing program', async () => {
  const missing = { program: join(home, 'nothing'), args: [] };
  await expect(runMeasured(missing, { home, signal })).rejects.toMatchObject({ code: 'failed' });
});

it('ends the process when the run is cancelled', async () => {
  const cancel = new AbortController();
  const running = runMeasured({ program: 'sleep', args: ['30'] }, { home, signal: cancel.signal });
  setTimeout(() => cancel.abort(new Error('enough')), 100);
  const start = performance.now();
  await expect(running).rejects.toThrow('enough');
  expect(performance.now() - start).toBeLessThan(5_000);
});
