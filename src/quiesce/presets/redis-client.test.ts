import { describe, expect, test } from 'vitest';
import { memoryContainers } from '../../../test/fixtures/containers.ts';
import type { ExecRequest } from '../../hosts/containers.ts';
import { connectRedis, optionOf, parseInfo, settingOf } from './redis-client.ts';

test('INFO is read line by line', () => {
  expect(parseInfo('# Persistence\r\nloading:0\r\naof_enabled:1\r\n')).toEqual(
    new Map([
      ['loading', '0'],
      ['aof_enabled', '1'],
    ]),
  );
});

test('a directive of a configuration file is the last one of its name, without quotes', () => {
  const config = 'requirepass old\n# requirepass no\n  RequirePass "a \\"b\\" c"\nport 6380\n';
  expect(settingOf(config, 'requirepass')).toBe('a "b" c');
  expect(settingOf(config, 'port')).toBe('6380');
  expect(settingOf(config, 'dir')).toBe(undefined);
});

test('an option is what follows its name', () => {
  expect(optionOf(['redis-server', '--requirepass', '--x'], '--requirepass')).toBe('--x');
  expect(optionOf(['redis-server', '--requirepass'], '--requirepass')).toBe(undefined);
});

describe('the password of Redis', () => {
  async function passwordOf(asked: {
    command?: readonly string[];
    environment?: Readonly<Record<string, string>>;
    labels?: Readonly<Record<string, string>>;
    files?: Readonly<Record<string, string>>;
  }): Promise<string | undefined> {
    const containers = memoryContainers();
    const container = containers.add({ name: 'cache', ...asked });
    let seen: ExecRequest | undefined;
    containers.onExec((_, request) => {
      const [program, ...args] = request.command;
      if (program === 'cat') {
        const file = asked.files?.[args.at(-1) ?? ''];
        return file === undefined ? { exitCode: 1 } : { stdout: file };
      }
      if (args.includes('--version')) return { stdout: 'redis-cli 8' };
      seen = request;
      return { stdout: 'PONG\n' };
    });
    const recognition = { by: 'image', folder: '', files: [], reason: '' } as const;
    await connectRedis({ containers, container, mountPath: '/data', recognition });
    expect(seen?.command.join(' ')).not.toContain('s3cret');
    return seen?.environment?.['REDISCLI_AUTH'];
  }

  test.each([
    ['the command', { command: ['redis-server', '--requirepass', 's3cret'] }],
    ['a command in a shell', { command: ['sh', '-c', `exec redis-server --requirepass "s3cret" --save ''`] }],
    ['the environment', { environment: { REDIS_PASSWORD: 's3cret' } }],
    ['a secret file', { environment: { REDIS_PASSWORD_FILE: '/run/s' }, files: { '/run/s': 's3cret\n' } }],
    [
      'a configuration file',
      { command: ['redis-server', '/etc/r.conf'], files: { '/etc/r.conf': 'requirepass s3cret' } },
    ],
    ['a label', { labels: { 'holdfast.database.password-file': '/x' }, files: { '/x': 's3cret' } }],
  ])('is found in %s', async (_, asked) => {
    expect(await passwordOf(asked)).toBe('s3cret');
  });

  test('is none where none is set', async () => {
    expect(await passwordOf({})).toBe(undefined);
  });
});
