import { chmodSync, chownSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { loadConfiguration, moveTo } from './load-configuration.ts';

test.runIf(process.geteuid?.() === 0)(
  'of commands in the folder of another user it is said where the file can lie',
  async () => {
    const folder = mkdtempSync(join(tmpdir(), 'configuration-'));
    using _folder = { [Symbol.dispose]: () => rmSync(folder, { recursive: true }) };
    chownSync(folder, 4711, 4711);
    const configFile = join(folder, 'h.yaml');
    writeFileSync(configFile, "repositories: { off: { location: /x, password: 'exec:id' } }");
    await expect(loadConfiguration({ stateDir: folder, configFile })).rejects.toMatchObject({
      message: expect.stringContaining(`"${folder}" belongs to user 4711`),
      hint: `Keep other users from it: chown root "${folder}". Or move it to where only root can write: install -D -m 600 "${configFile}" /etc/holdfast/holdfast.yaml && rm "${configFile}", and name it: --config /etc/holdfast/holdfast.yaml`,
    });
  },
);

test.runIf(process.geteuid?.() === 0)(
  'no place is named for a configuration where another file is already',
  async () => {
    const folder = mkdtempSync(join(tmpdir(), 'configuration-'));
    using _folder = { [Symbol.dispose]: () => rmSync(folder, { recursive: true }) };
    const target = join(folder, 'holdfast.yaml');
    const place = { configFile: undefined };
    expect(await moveTo('/srv/h.yaml', place, target)).toContain(`install -D -m 600 "/srv/h.yaml" ${target}`);
    writeFileSync(target, '');
    expect(await moveTo('/srv/h.yaml', place, target)).toBeUndefined();
    expect(await moveTo(target, place, target)).toBeUndefined();
  },
);

test('a file that other users can write to may not name commands', async () => {
  const stateDir = mkdtempSync(join(tmpdir(), 'configuration-'));
  using _folder = { [Symbol.dispose]: () => rmSync(stateDir, { recursive: true }) };
  const file = join(stateDir, 'holdfast.yaml');
  const place = { stateDir, configFile: undefined };
  const repositories = [
    ...["'exec:pass show off'", '"\\x65xec:id"', '"exec\\u003aid"', '"ex\\\n ec:id"'].map(
      (command) => `{ location: /x, password: ${command} }`,
    ),
    "{ location: 'rclone:b2:x', options: { program: /home/bob/rclone } }",
    "{ location: 'rclone:b2:x', options: { config-file: /home/bob/rclone.conf } }",
    "{ location: 'sftp:host:/x', options: { ssh-config: /home/bob/ssh } }",
    "{ location: 'rclone::sftp,ssh=/home/bob/ssh:x' }",
  ];
  for (const repository of repositories) {
    writeFileSync(file, `repositories: { off: ${repository} }\n`);
    chmodSync(file, 0o666);
    await expect(loadConfiguration(place), repository).rejects.toMatchObject({
      code: 'denied',
      message: expect.stringContaining(`other users can write to "${file}"`),
      hint: expect.stringContaining(`chmod go-w "${file}"`),
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
