import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { treeFacts } from '../support/tree-facts.ts';
import { Cli } from './cli.ts';

let cli: Cli;
let root: string;
beforeEach(async () => {
  cli = new Cli();
  await cli.init();
  root = await cli.volume('pg');
});
afterEach(() => cli[Symbol.dispose]());

/** Enough data that the command can be interrupted half way. */
function fill(megabytes: number): void {
  for (let index = 0; index < megabytes; index++)
    writeFileSync(join(root, `file-${index}`), randomBytes(1_000_000));
}

/** The first line of JSON progress means that the work has begun. */
const whenWorking = (signal: NodeJS.Signals, times = 1) => {
  let sent = 0;
  return (child: { kill(signal: NodeJS.Signals): boolean }, text: string): void => {
    if (sent >= times || !text.includes('"type":"progress"')) return;
    sent++;
    child.kill(signal);
  };
};

describe('a backup', () => {
  test.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)(
    'that is ended by %s says so, leaves a sound repository, and the next one goes on',
    async (signal, exit) => {
      fill(120);
      const result = await cli.attempt(['backup', 'pg', '--format', 'json'], {
        onStderr: whenWorking(signal),
      });
      expect(result.stderr).toContain('holdfast: Cancelled');
      expect(result.exit).toBe(exit);
      expect(await cli.ids('pg')).toEqual([]);
      await cli.run('check');
      await cli.run('backup', 'pg');
      await cli.run('check', '--read-data');
    },
  );

  test('that is killed leaves a sound repository and no lease', async () => {
    fill(120);
    const result = await cli.attempt(['backup', 'pg', '--format', 'json'], {
      onStderr: whenWorking('SIGKILL'),
    });
    expect(result.exit).toBe(137);
    await cli.run('check');
    await cli.run('backup', 'pg');
    expect(await cli.ids('pg')).toHaveLength(1);
  });

  test('of a volume that is being backed up already is refused, and the other process named', async () => {
    fill(150);
    let second: Promise<{ exit: number; stderr: string }> | undefined;
    let pid: number | undefined;
    const first = await cli.attempt(['backup', 'pg', '--format', 'json'], {
      onStderr: (child, text) => {
        if (!text.includes('"type":"progress"')) return;
        pid = child.pid;
        if (second) return;
        // Stopped until the other command has been refused, on a machine of any speed.
        child.kill('SIGSTOP');
        second = cli.attempt(['backup', 'pg']).finally(() => child.kill('SIGCONT'));
      },
    });
    expect(first.exit).toBe(0);
    const refused = await second;
    expect(refused?.exit).toBe(5);
    expect(refused?.stderr).toMatch(/Cannot back up "pg": process \d+ is at work on it/);
    expect(pid).toBeDefined();
    expect(await cli.ids('pg')).toHaveLength(1);
  });
});

describe('a restore', () => {
  test.each(['SIGTERM', 'SIGKILL'] as const)(
    'that is ended by %s leaves the volume as it was, and the next one succeeds',
    async (signal) => {
      fill(150);
      await cli.run('backup', 'pg');
      const saved = treeFacts(root);
      rmSync(join(root, 'file-0'));
      writeFileSync(join(root, 'newer'), 'newer');
      const later = treeFacts(root);
      const args = ['restore', 'pg', '--yes', '--no-safety-snapshot', '--format', 'json'];
      const result = await cli.attempt(args, { onStderr: whenWorking(signal) });
      expect(result.exit).toBe(signal === 'SIGKILL' ? 137 : 143);
      expect(treeFacts(root)).toEqual(later);
      await cli.run('restore', 'pg', '--yes', '--no-safety-snapshot', '--no-keep');
      expect(treeFacts(root)).toEqual(saved);
      expect(readdirSync(join(root, '..'))).toEqual(['_data']);
      expect(readdirSync(join(cli.stateDir, 'journal'))).toEqual([]);
    },
  );

  test('into a new volume that is cancelled leaves no volume', async () => {
    fill(150);
    await cli.run('backup', 'pg');
    const result = await cli.attempt(['restore', 'pg', '--to', 'copy', '--format', 'json'], {
      onStderr: whenWorking('SIGINT'),
    });
    expect(result.exit).toBe(130);
    expect((await cli.run('volume', 'ls', '-q')).trim()).toBe('pg');
    expect(existsSync(cli.root('copy'))).toBe(false);
  });

  test('killed at many moments always leaves the old data or the new, whole', async () => {
    fill(3);
    writeFileSync(join(root, 'state'), 'saved');
    await cli.run('backup', 'pg');
    const saved = treeFacts(root);
    const change = (): void => {
      writeFileSync(join(root, 'state'), 'later');
      utimesSync(join(root, 'state'), 1_000_000, 1_000_000);
    };
    change();
    const later = treeFacts(root);
    let killed = 0;
    for (let delayMs = 300; delayMs <= 1200; delayMs += 75) {
      const timer = { id: undefined as NodeJS.Timeout | undefined };
      const args = ['restore', 'pg', '--yes', '--no-safety-snapshot', '--format', 'json'];
      const { exit } = await cli.attempt(args, {
        onStderr: (child) => {
          timer.id ??= setTimeout(() => child.kill('SIGKILL'), delayMs - 300);
        },
      });
      clearTimeout(timer.id);
      if (exit === 137) killed += 1;
      else expect(exit).toBe(0);
      expect([saved, later]).toContainEqual(treeFacts(root));
      if (readFileSync(join(root, 'state'), 'utf8') === 'saved') change();
    }
    // The first one comes with the first word of the command.
    expect(killed).toBeGreaterThan(0);
    await cli.run('restore', 'pg', '--yes', '--no-safety-snapshot', '--no-keep');
    expect(treeFacts(root)).toEqual(saved);
    expect(readdirSync(join(root, '..'))).toEqual(['_data']);
  });
});
