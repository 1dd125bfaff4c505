import { spawnSync } from 'node:child_process';
import { closeSync, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Cli } from './cli.ts';
import { command } from '../support/holdfast-command.ts';

let cli: Cli;
beforeAll(async () => {
  cli = new Cli();
  await cli.init();
  writeFileSync(join(await cli.volume('pg'), 'file'), 'x'.repeat(100_000));
  await cli.run('backup', 'pg');
});
afterAll(() => cli[Symbol.dispose]());

function runInto(
  file: string,
  args: readonly string[],
): { readonly status: number | null; readonly stderr: string } {
  const fd = openSync(file, 'w');
  try {
    const env = { ...process.env, HOLDFAST_STATE_DIR: cli.stateDir, HOLDFAST_HOST: 'embedded' };
    const { status, stderr } = spawnSync(command, args, {
      env,
      stdio: ['ignore', fd, 'pipe'],
      encoding: 'utf8',
    });
    return { status, stderr };
  } finally {
    closeSync(fd);
  }
}

describe('output that cannot be written', () => {
  test.each([
    [['snapshots']],
    [['snapshots', '--format', 'json']],
    [['volume', 'ls', '-q']],
    [['dump', 'pg', '/']],
    [['volume', 'export', 'pg']],
    [['--help']],
  ])('is no success: %j', (args) => {
    const { status, stderr } = runInto('/dev/full', args);
    expect(stderr).toContain('holdfast: Cannot write the output: the disk is full');
    expect(stderr.match(/^holdfast:/gm)).toHaveLength(1);
    expect(status).toBe(1);
  });

  test('because its reader has enough ends quietly', async () => {
    const { status, stderr } = spawnSync('sh', ['-c', '"$0" volume ls | true', command], {
      env: { ...process.env, HOLDFAST_STATE_DIR: cli.stateDir, HOLDFAST_HOST: 'embedded' },
      encoding: 'utf8',
    });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  });
});
