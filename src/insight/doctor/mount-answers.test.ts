import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { parseMountinfo } from '../../lib/mountinfo.ts';
import { askByMount, askMounts } from './mount-answers.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'answers-'));
  vi.stubEnv('PATH', `${folder}${delimiter}${process.env['PATH']}`);
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true });
});

const patience = { usualMs: 500, promptMs: 250, slowMs: 20_000 };

/** Places one before the machine's, which it becomes after `script`. */
function putStat(script: string): void {
  const file = join(folder, 'stat');
  writeFileSync(file, `#!/bin/sh\nfor last; do :; done\n${script}\nPATH=$\{PATH#*:} exec stat "$@"\n`);
  chmodSync(file, 0o755);
}

test('storage that answers late is not silent where the machine answers late, too', async () => {
  putStat('sleep 1');
  const answers = await askMounts(['/', '/tmp'], undefined, patience);
  expect([...answers.values()].map(({ kind }) => kind)).toEqual(['room', 'room']);
});

test('storage that does not answer on a machine that does is silent, and asked once', async () => {
  putStat('if [ "$last" = /tmp ]; then exec sleep 5; fi');
  const answers = await askMounts(['/', '/tmp'], undefined, { ...patience, usualMs: 1500, promptMs: 1400 });
  expect(answers.get('/')).toMatchObject({ kind: 'room' });
  expect(answers.get('/tmp')).toEqual({ kind: 'silent', afterMs: 1500 });
});

test('what lies on a mount that is silent is silent, and leaves no process of its own behind', async () => {
  const asked = join(folder, 'asked');
  putStat(`echo "$last" >> ${asked}; case $last in /tmp*) exec sleep 5;; esac`);
  const line = (path: string): string => `1 1 8:1 / ${path} rw - ext4 /dev/sda rw\n`;
  const mounts = parseMountinfo(line('/') + line('/tmp'));
  const answers = await askByMount(['/tmp/a', '/tmp/b', '/usr'], mounts, undefined, {
    ...patience,
    usualMs: 1500,
    promptMs: 1400,
  });
  const kinds = ['/', '/usr', '/tmp', '/tmp/a', '/tmp/b'].map((path) => answers.get(path)?.kind);
  expect(kinds).toEqual(['room', 'room', 'silent', 'silent', 'silent']);
  expect(readFileSync(asked, 'utf8').match(/^\/tmp.*$/gm)).toEqual(['/tmp']);
});
