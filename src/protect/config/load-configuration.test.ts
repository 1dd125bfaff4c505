import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { loadConfiguration } from './load-configuration.ts';

test('a file that other users can write to brings no commands', async () => {
  const stateDir = mkdtempSync(join(tmpdir(), 'configuration-'));
  using _folder = { [Symbol.dispose]: () => rmSync(stateDir, { recursive: true }) };
  const file = join(stateDir, 'holdfast.yaml');
  const place = { stateDir, configFile: undefined };
  writeFileSync(file, "repositories: { off: { location: /x, password: 'exec:pass show off' } }\n");
  chmodSync(file, 0o666);
  await expect(loadConfiguration(place)).rejects.toMatchObject({
    code: 'denied',
    message: expect.stringContaining(`other users can write to "${file}"`),
  });
  chmodSync(file, 0o644);
  expect((await loadConfiguration(place)).file).toBe(file);
  writeFileSync(file, "defaults: { exclude: ['*.tmp'] }\n");
  chmodSync(file, 0o666);
  expect((await loadConfiguration(place)).file).toBe(file);
});
