import { expect, test } from 'vitest';
import type { Progress } from '../../app/app.ts';
import { openProgress } from './progress.ts';
import type { Terminal } from './terminal.ts';

function recorder(isTTY: boolean): { written: string[]; terminal: Pick<Terminal, 'stderr'> } {
  const written: string[] = [];
  const stderr = { isTTY, columns: 120, write: (text: string) => written.push(text) };
  return { written, terminal: { stderr: stderr as unknown as Terminal['stderr'] } };
}

const half: Progress = {
  phase: 'saving',
  filesDone: 5,
  filesTotal: 10,
  bytesDone: 50_000_000,
  bytesTotal: 100_000_000,
  current: 'a\u001bb',
};

test('on a terminal one line is repainted, with bytes, files, speed and time left, and wiped at the end', () => {
  const { written, terminal } = recorder(true);
  let nowMs = 0;
  const line = openProgress({ title: 'Backup', form: 'text', terminal, now: () => nowMs });
  nowMs = 5000;
  line.onProgress(half);
  line.onProgress(half);
  line[Symbol.dispose]();
  expect(written).toEqual([
    '\r\u001b[KBackup: saving, 50.0 MB of 100.0 MB, 5 of 10 files, 10.0 MB/s, 5.0s left  a\\u001bb',
    '\r\u001b[K',
  ]);
});

test.each([
  [3000, 0.5, false],
  [6000, 0.02, false],
  [6000, 0.06, true],
  [31_000, 0.005, false],
  [31_000, 0.02, true],
])('time is left after %d ms with %f of it done: %s', (elapsedMs, share, isTold) => {
  const { written, terminal } = recorder(true);
  let nowMs = 0;
  const line = openProgress({ title: 'Backup', form: 'text', terminal, now: () => nowMs });
  nowMs = elapsedMs;
  line.onProgress({ ...half, bytesDone: share * 100_000_000 });
  expect(written.join('').includes(' left')).toBe(isTold);
});

test('elsewhere a plain line comes every few seconds', () => {
  const { written, terminal } = recorder(false);
  let nowMs = 0;
  const line = openProgress({ title: 'Backup', form: 'text', terminal, now: () => nowMs });
  for (nowMs = 0; nowMs <= 12_000; nowMs += 500) line.onProgress(half);
  expect(written).toHaveLength(2);
  expect(written[0]).toMatch(/^Backup: saving, 50\.0 MB of 100\.0 MB.*\n$/);
});

test('with JSON it is one object a line, and with --quiet nothing', () => {
  const json = recorder(true);
  openProgress({ title: 'Backup', form: 'json', terminal: json.terminal, now: () => 5000 }).onProgress(half);
  expect(json.written.map((line) => JSON.parse(line) as object)).toEqual([
    { type: 'progress', title: 'Backup', ...half },
  ]);
  const none = recorder(true);
  openProgress({ title: 'Backup', form: 'none', terminal: none.terminal }).onProgress(half);
  expect(none.written).toEqual([]);
});

test('no name in it controls a terminal, in JSON either', () => {
  const { written, terminal } = recorder(true);
  const current = 'a\u009b2Jb\u202ec';
  openProgress({ title: 'Backup', form: 'json', terminal, now: () => 5000 }).onProgress({ ...half, current });
  expect(written.join('')).toContain('a\\u009b2Jb\\u202ec');
  expect(JSON.parse(written.join(''))).toMatchObject({ current });
});
