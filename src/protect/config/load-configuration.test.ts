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
  const repositories = [
    ...["'exec:pass show off'", '"\\x65xec:id"', '"exec\\u003aid"', '"ex\\\n ec:id"'].map(
      (command) => `{ location: /x, password: ${command} }`,
    ),
    "{ location: 'rclone:b2:x', options: { program: /home/bob/rclone } }",
    "{ location: 'sftp:host:/x', options: { config-file: /home/bob/ssh } }",
    "{ location: 'rclone::sftp,ssh=/home/bob/ssh:x' }",
  ];
  for (const repository of repositories) {
    writeFileSync(file, `repositories: { off: ${repository} }\n`);
    chmodSync(file, 0o666);
    await expect(loadConfiguration(place), repository).rejects.toMatchObject({
      code: 'denied',
      message: expect.stringContaining(`other users can write to "${file}"`),
    });
  }
  chmodSync(file, 0o644);
  expect((await loadConfiguration(place)).file).toBe(file);
  writeFileSync(
    file,
    "repositories: { off: { location: 'rclone:b2:x' } }\ndefaults: { exclude: ['*.tmp'] }\n",
  );
  chmodSync(file, 0o666);
  expect((await loadConfiguration(place)).file).toBe(file);
});
