import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { Measuring } from './measuring.ts';

test('a reader that is killed while it writes its answer is an error, and ends nothing else', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'measuring-'));
  const node = process.execPath;
  try {
    const half = join(folder, 'node');
    // Its pipe may be seen to end before it has.
    writeFileSync(
      half,
      `#!/bin/sh\nread -r question\nprintf '{"at":0}\\n{"found":[{"by'\nexec >&-\nsleep 0.3\n`,
    );
    chmodSync(half, 0o755);
    process.execPath = half;
    using measuring = new Measuring();
    const { signal } = new AbortController();
    await expect(measuring.ask('disk', ['/'], signal)).rejects.toMatchObject({ code: 'failed' });
    process.execPath = node;
    expect(await measuring.ask('disk', ['/'], signal)).toMatchObject({
      found: [{ capacityBytes: expect.any(Number) }],
    });
  } finally {
    process.execPath = node;
    rmSync(folder, { recursive: true });
  }
});

test('a process with as many open files as it may have goes on without sizes until there are fewer', () => {
  const program = `
    import { closeSync, openSync } from 'node:fs';
    import { Measuring } from ${JSON.stringify(new URL('measuring.ts', import.meta.url).href)};
    const { signal } = new AbortController();
    using measuring = new Measuring();
    const open = [];
    try {
      for (;;) open.push(openSync('/dev/null'));
    } catch {}
    await measuring.ask('disk', ['/'], signal).catch(({ code }) => console.log(code));
    for (const fd of open) closeSync(fd);
    console.log(Object.keys(await measuring.ask('disk', ['/'], signal)).join());`;
  const limited = ['-c', 'ulimit -n 64; exec "$0" "$@"', process.execPath];
  const told = execFileSync('/bin/sh', [...limited, '--input-type=module', '-e', program], {
    encoding: 'utf8',
  });
  expect(told).toBe('failed\nfound\n');
});

test('a stop of the whole machine that is longer than the patience is no silence of a disk', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'measuring-'));
  const node = process.execPath;
  try {
    const reader = join(folder, 'node');
    // It was stopped as well: it answers a moment after this process goes on.
    writeFileSync(
      reader,
      `#!/bin/sh\nread -r question\necho '{"at":0}'\nuntil [ -e ${folder}/go ]; do sleep 0.02; done\nsleep 0.1\necho '{"found":[null]}'\nsleep 0.3\n`,
    );
    chmodSync(reader, 0o755);
    process.execPath = reader;
    using measuring = new Measuring({ patienceMs: 4000 });
    const asked = measuring.ask('disk', ['/'], new AbortController().signal);
    await sleep(500);
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5000);
    writeFileSync(join(folder, 'go'), '');
    expect(await asked).toEqual({ found: [null] });
  } finally {
    process.execPath = node;
    rmSync(folder, { recursive: true });
  }
});
