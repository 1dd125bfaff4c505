import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { runCommand, type RunResult } from '../../scripts/run-command.ts';
import { openApp } from '../../src/app.ts';
import { command, holdfastCommand, type HoldfastCommand } from '../support/holdfast-command.ts';

const isRoot = process.geteuid?.() === 0;

let folder: string;
let stateDir: string;
let holdfast: HoldfastCommand;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'run-'));
  stateDir = join(folder, 'state');
  holdfast = holdfastCommand(stateDir);
});
afterEach(async () => {
  await runCommand('chattr', ['-R', '-f', '-i', folder]);
  rmSync(folder, { recursive: true, force: true });
});

const run = (...args: string[]): Promise<RunResult> => holdfast.attempt('run', ...args);
const shell = (mounts: readonly string[], script: string): Promise<RunResult> =>
  run(...mounts, '--', 'sh', '-c', script);
const dataOf = (volume: string): string => join(stateDir, 'volumes', volume, '_data');

describe('holdfast run', () => {
  test('shows a command its volumes, and keeps what it writes', async () => {
    expect(await shell(['-v', 'data:/data'], 'echo kept > /data/file')).toMatchObject({ exitCode: 0 });
    expect((await shell(['-v', 'data:/data'], 'cat /data/file')).stdout).toBe('kept\n');
    expect(readFileSync(join(dataOf('data'), 'file'), 'utf8')).toBe('kept\n');
  });

  test('ends with the exit number of the command', async () => {
    expect(await shell([], 'exit 7')).toMatchObject({ exitCode: 7 });
    expect(await shell([], 'kill -9 $$')).toMatchObject({ exitCode: 137 });
    expect(await run('--', 'no-such-command')).toMatchObject({ exitCode: 127 });
    expect(await run('--', '/etc/passwd')).toMatchObject({ exitCode: 126 });
  });

  test('needs a command', async () => {
    expect((await run('-v', 'data:/data')).exitCode).toBe(2);
  });

  test('passes standard input and output through as bytes', async () => {
    const child = spawn(command, ['run', '--state-dir', stateDir, '--', 'cat'], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    child.stdin.end('x'.repeat(1_000_000));
    expect(await text(child.stdout)).toBe('x'.repeat(1_000_000));
  });

  test('makes nothing on the machine for the places of mounts, and lets nothing but mounts be written', async () => {
    const deep = '/var/lib/no-such-place/below';
    const script = `echo here > ${deep}/file; touch /outside /var/lib/outside /usr/outside; ls ${deep}`;
    const { stdout, output } = await shell(['-v', `data:${deep}`, '-v', 'top:/no-such-top'], script);
    expect(stdout).toContain('file');
    expect(output.match(/Read-only file system/g)).toHaveLength(3);
    for (const path of [
      '/var/lib/no-such-place',
      '/no-such-top',
      '/outside',
      '/var/lib/outside',
      '/usr/outside',
    ])
      expect(existsSync(path)).toBe(false);
    expect(readFileSync(join(dataOf('data'), 'file'), 'utf8')).toBe('here\n');
  });

  test('hides the processes of the machine, and has a /tmp of its own', async () => {
    writeFileSync(join(folder, 'visible'), '');
    const { stdout } = await shell(
      [],
      'ls /proc | grep -c "^[0-9]"; ls /tmp | wc -l; touch /tmp/x && echo written',
    );
    const [processes, files, written] = stdout.split('\n');
    expect(Number(processes)).toBeLessThan(10);
    expect([files, written]).toEqual(['0', 'written']);
  });
});

describe('the mounts of a command', () => {
  test('read-only ones cannot be written', async () => {
    await shell(['-v', 'data:/data'], 'echo kept > /data/file');
    for (const mount of [
      ['-v', 'data:/data:ro'],
      ['--mount', 'src=data,dst=/data,readonly'],
    ]) {
      const { output } = await shell(mount, 'cat /data/file; touch /data/new');
      expect(output).toContain('kept');
      expect(output).toContain('Read-only file system');
    }
  });

  test('a directory of the machine is bound, and made when -v names one that is missing', async () => {
    const host = join(folder, 'host');
    await shell(['-v', `${host}:/data`], 'echo bound > /data/file');
    expect(readFileSync(join(host, 'file'), 'utf8')).toBe('bound\n');
    const missing = await shell(['--mount', `type=bind,src=${join(folder, 'none')},dst=/data`], 'true');
    expect(missing.output).toContain('bind source path does not exist');
    expect(missing.exitCode).toBe(2);
  });

  test('a tmpfs has its size and its mode, and is gone afterwards', async () => {
    const { stdout } = await shell(
      ['--tmpfs', '/scratch:size=1m,mode=0700'],
      'stat -c %a /scratch; df -k /scratch | tail -1',
    );
    expect(stdout).toMatch(/^700\n\S+\s+1024\s/);
    expect(
      (await shell(['--mount', 'type=tmpfs,dst=/scratch,tmpfs-size=64k,readonly'], 'touch /scratch/x'))
        .output,
    ).toContain('Read-only');
  });

  test.runIf(isRoot)('a tmpfs takes the options that bubblewrap has no word for', async () => {
    const script =
      'stat -c %u /scratch; grep " /scratch " /proc/mounts; cp /bin/true /scratch/; /scratch/true';
    const { output, exitCode } = await shell(['--tmpfs', '/scratch:uid=5,noexec,size=2m'], script);
    expect(output).toMatch(/^5\n.*noexec.*size=2048k/s);
    expect(exitCode).toBe(126);
    expect(await holdfast.run('volume', 'ls', '-q')).toBe('');
    expect(readFileSync('/proc/mounts', 'utf8')).not.toContain(stateDir);
  });

  test('a subpath is what is seen, and never leads out of the volume', async () => {
    await shell(['-v', 'data:/data'], 'mkdir -p /data/a/b; echo sub > /data/a/b/file');
    const sub = (subpath: string): Promise<RunResult> =>
      shell(['--mount', `src=data,dst=/data,volume-subpath=${subpath}`], 'ls /data; cat /data/file');
    expect((await sub('a/b')).stdout).toBe('file\nsub\n');
    symlinkSync('/etc', join(dataOf('data'), 'etc'));
    symlinkSync('../../../..', join(dataOf('data'), 'a/up'));
    expect((await sub('etc')).output).toContain('is a symbolic link');
    expect((await sub('a/up')).output).toContain('is a symbolic link');
    expect((await sub('../..')).output).toContain('subpath must be a relative path within the volume');
    expect(await sub('nope')).toMatchObject({ exitCode: 4 });
  });

  test('an empty volume is filled with what is at its place, unless nocopy says not to', async () => {
    await shell(['-v', 'full:/etc/apt'], 'true');
    await shell(['-v', 'empty:/etc/apt:nocopy'], 'true');
    expect(existsSync(join(dataOf('full'), 'sources.list.d'))).toBe(true);
    expect(existsSync(join(dataOf('empty'), 'sources.list.d'))).toBe(false);
  });

  test('a volume is never filled with the volumes themselves', async () => {
    mkdirSync(stateDir, { recursive: true });
    const { output, exitCode } = await shell(['-v', `data:${folder}`], 'true');
    expect([exitCode, output]).toEqual([2, expect.stringContaining('the volumes themselves are there')]);
  });

  test('one without a name is there for the command only', async () => {
    expect((await shell(['-v', '/data'], 'echo x > /data/file; cat /data/file')).stdout).toBe('x\n');
    expect(await holdfast.run('volume', 'ls', '-q')).toBe('');
  });

  test('two at one place are refused, and so is what needs an engine', async () => {
    expect((await shell(['-v', 'one:/data', '-v', 'two:/data'], 'true')).output).toContain(
      'Duplicate mount point: /data',
    );
    expect((await shell(['--mount', 'type=image,src=busybox,dst=/data'], 'true')).output).toContain(
      'without a container engine',
    );
    expect(await holdfast.run('volume', 'ls', '-q')).toBe('');
  });
});

describe('a command that is told to end', () => {
  test('gets the signal, and its answer to it is ours', async () => {
    const script = 'trap "echo ended > /data/file; exit 3" TERM; echo ready; while :; do sleep 0.05; done';
    const child = spawn(
      command,
      ['run', '--state-dir', stateDir, '-v', 'data:/data', '--', 'sh', '-c', script],
      {
        stdio: ['ignore', 'pipe', 'inherit'],
      },
    );
    const exit = once(child, 'exit');
    await once(child.stdout, 'data');
    child.kill('SIGTERM');
    expect(await exit).toEqual([3, null]);
    expect(readFileSync(join(dataOf('data'), 'file'), 'utf8')).toBe('ended\n');
  });

  test('dies with holdfast when that is killed, and the volume is free again', async () => {
    const child = spawn(
      command,
      ['run', '--state-dir', stateDir, '-v', 'data:/data', '--', 'sh', '-c', 'echo ready; exec sleep 1000'],
      {
        stdio: ['ignore', 'pipe', 'inherit'],
      },
    );
    const exit = once(child, 'exit');
    await once(child.stdout, 'data');
    expect((await holdfast.attempt('volume', 'rm', 'data')).exitCode).toBe(5);
    child.kill('SIGKILL');
    await exit;
    await expect.poll(async () => (await holdfast.attempt('volume', 'rm', 'data')).exitCode).toBe(0);
  });
});

test('a signal that comes before the command is there reaches it all the same', async () => {
  await using app = openApp({ ...blank, stateDir });
  await app.recoverAtStart('own');
  const onSignals = (pass: (name: NodeJS.Signals) => void): Disposable => {
    pass('SIGTERM');
    return { [Symbol.dispose]() {} };
  };
  expect(await app.volumes.run(sleeping, { onSignals })).toEqual({ exitCode: 143 });
  const signal = AbortSignal.abort();
  expect(await app.volumes.run(sleeping, { signal })).toEqual({ exitCode: 143 });
});

describe('a signal that comes before the command is there', () => {
  // Both stand in for bwrap, and take their time before the command runs.
  const slow = {
    'between the fork and its program': `#!/bin/bash
while [ "$1" != -- ]; do shift; done
shift
(sleep 1; exec "$@") &
echo '{"child-pid": '$$'}' >&3
echo forked
wait $!
exit $?
`,
    // As one whose program is being exchanged, a process that has ended has no command line.
    'while its process has no command line': `#!/usr/bin/perl
shift while $ARGV[0] ne '--';
shift;
if (!(my $ended = fork)) { exit 0 }
open my $status, '>&=', 3;
syswrite $status, qq({"child-pid": $$}\n);
syswrite STDOUT, "forked\n";
sleep 1;
wait;
if (!(my $command = fork)) { exec @ARGV }
wait;
exit($? & 127 ? 128 + ($? & 127) : $? >> 8);
`,
  };
  test.each(Object.entries(slow))('%s, is not lost', async (_, program) => {
    writeFileSync(join(folder, 'bwrap'), program, { mode: 0o755 });
    const child = spawn(command, ['run', '--state-dir', stateDir, '--', 'sleep', '60'], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, PATH: `${folder}:${process.env['PATH']}` },
    });
    const exit = once(child, 'exit');
    await once(child.stdout, 'data');
    child.kill('SIGTERM');
    expect(await exit).toEqual([143, null]);
  });
});

const blank = {
  host: 'embedded',
  dataWay: 'auto',
  repository: undefined,
  passwordReference: undefined,
  env: {},
} as const;

const sleeping = { command: ['sleep', '60'], mounts: [], workingDir: undefined, environment: {} };
