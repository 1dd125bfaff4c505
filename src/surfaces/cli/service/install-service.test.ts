import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { letLinger } from './install-service.ts';

const { PATH } = process.env;
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'linger-'));
  process.env['PATH'] = `${folder}:${PATH}`;
});
afterEach(() => {
  process.env['PATH'] = PATH;
  rmSync(folder, { recursive: true });
});

test.each([
  ['exit 0', []],
  [
    'echo "Could not enable linger: Access denied" >&2; exit 1',
    [expect.stringMatching(/ends with your last session: Could not enable linger: Access denied\. .*USER$/)],
  ],
  [
    'echo "Could not enable linger: Interactive authentication required." >&2; exit 1',
    [expect.stringMatching(/linger: Interactive authentication required\. An .*USER$/)],
  ],
])('a service that may not outlast its user’s sessions is told of: %s', async (script, told) => {
  writeFileSync(join(folder, 'loginctl'), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  const notes: string[] = [];
  await letLinger({ onNote: (note) => void notes.push(note) });
  expect(notes).toEqual(told);
});
