import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Cli } from './cli.ts';

let cli: Cli;
beforeEach(() => {
  cli = new Cli();
});
afterEach(() => cli[Symbol.dispose]());

const setup = ['setup', '--yes', '--no-service'];

test('setup with a second repository leaves the default, and backups to it, unchanged', async () => {
  await cli.volume('data');
  // Without a service, nothing that was set up runs by itself.
  expect(await cli.run(...setup, '--repo', cli.repository)).toMatch(/^ {2}holdfast daemon /m);
  const again = await cli.attempt([...setup, '--repo', join(cli.folder, 'second')]);
  expect(again.stderr).toMatch(/Warning: No policy in ".*" backs up to ".*second"/);
  const known = await cli.json<{ location: string; isDefault: boolean }[]>('repo', 'ls');
  expect(known.filter(({ isDefault }) => isDefault)).toMatchObject([{ location: cli.repository }]);
});

test('setup stopped after the creation of the key says where the key is', async () => {
  await cli.volume('data');
  let isAsked = false;
  const stopped = await cli.attempt([...setup, '--repo', cli.repository], {
    onStderr(child, text) {
      if (isAsked || !text.includes('Made the repository')) return;
      isAsked = child.kill('SIGINT');
    },
  });
  expect(stopped.exit).not.toBe(0);
  expect(stopped.stderr).toContain(
    `The key of the repository is ${cli.stateDir}/keys/default.key. Copy it to another place`,
  );
});

test('setup again backs up only volumes without a snapshot', async () => {
  await cli.volume('old');
  await cli.run(...setup, '--repo', cli.repository);
  await cli.volume('new');
  expect(await cli.run(...setup)).toContain('Protected: new, old.');
  expect([await cli.ids('old'), await cli.ids('new')]).toEqual([[expect.any(String)], [expect.any(String)]]);
});
