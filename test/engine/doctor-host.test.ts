import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, renameSync, rmdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { runCommand } from '../../scripts/run-command.ts';
import { Cli } from '../cli/cli.ts';
import { killWithGuardians } from '../support/guardians.ts';
import { command } from '../support/holdfast-command.ts';
import { mountLoopFilesystem } from '../support/loop-filesystem.ts';
import { onEngine } from '../support/on-engine.ts';
import { type PrivateSystemd, startSystemd } from '../support/systemd.ts';

const on = onEngine({ host: 'docker' });

/** Diagnoses of what a machine does: load, clocks, services, holds, and Holdfast's own health. */
interface Found {
  readonly healthy: boolean;
  readonly findings: readonly {
    readonly id: string;
    readonly subject: { readonly kind: string; readonly name: string };
    readonly message: string;
    readonly evidence: readonly string[];
    readonly commands: readonly (readonly string[])[];
    readonly isHint: boolean;
  }[];
}

interface Asked {
  readonly env?: Readonly<Record<string, string>>;
  /** What the machine is to look like. */
  readonly beside?: readonly string[];
}

/** What the doctor finds with this id, with its exit number held to all that it finds. */
async function look(id: string, args: readonly string[] = [], asked: Asked = {}): Promise<Found['findings']> {
  const [program, ...before] = asked.beside ?? [];
  const words = ['doctor', ...args, '--format', 'json'];
  const { stdout, output, exitCode } = await runCommand(
    program ?? command,
    program === undefined ? words : [...before, command, ...words],
    {
      env: {
        ...process.env,
        ...on.environment(),
        HOLDFAST_STATE_DIR: on.cli.stateDir,
        ...asked.env,
      },
    },
  );
  const { findings } = JSON.parse(stdout) as Found;
  expect(exitCode, output).toBe(findings.every(({ isHint }) => isHint) ? 0 : 1);
  return findings.filter((finding) => finding.id === id);
}

async function docker(...args: string[]): Promise<string> {
  return await on.engine.docker(args);
}

async function stateOf(name: string): Promise<string> {
  return await docker('inspect', '-f', '{{.State.Status}}', name);
}

/** Carries out a command that was printed for this engine. */
async function carryOut([program = '', ...args]: readonly string[] = []): Promise<void> {
  if (program === 'docker') await docker(...args);
  else execFileSync(program, args, { stdio: 'pipe' });
}

const patience = { timeout: 120_000, interval: 500 };

/** What comes and goes with the load of the machine is taken as it was first seen. */
async function untilFound(id: string, subject: string): Promise<Found['findings'][number] | undefined> {
  let found: Found['findings'] = [];
  await expect
    .poll(async () => {
      found = await look(id, [subject]);
      return found;
    }, patience)
    .toHaveLength(1);
  return found[0];
}

describe('a container', () => {
  /** One that a failed test has left would be in the way of all others. */
  afterEach(async () => {
    await docker('rm', '-f', 'limited', 'thrashing', 'victim', 'hog', 'undead');
  });

  test('that waits for its disk is told of with its own limit, and not without it', async () => {
    await using disk = mountLoopFilesystem('ext4', { sizeBytes: 64 << 20 });
    const write = 'while true; do dd if=/dev/zero of=/data/x bs=64k count=8 oflag=direct; sleep 0.5; done';
    const start = async (): Promise<string> =>
      await docker(
        ...['run', '-d', '--name', 'limited', '-v', `${disk.path}:/data`, 'busybox', 'sh', '-c', write],
      );
    await start();
    await limitDisk('limited', 'write', 65_536, disk.path);
    const found = await untilFound('HF-D060', 'limited');
    expect(found?.subject).toEqual({ kind: 'container', name: 'limited' });
    expect(found?.evidence.join('\n')).toMatch(/it is limited: device "\d+:\d+ (?:write_bps=|.*wbps=)65536/);
    await docker('rm', '-f', 'limited');
    await start();
    expect(await look('HF-D060', ['limited'])).toEqual([]);
  });

  test('that waits for memory is told of, and has enough when its limit was doubled until it is not told of', async () => {
    await using disk = mountLoopFilesystem('ext4', { sizeBytes: 64 << 20 });
    // Written past the cache, which would be another's memory.
    execFileSync('dd', ['if=/dev/zero', `of=${disk.path}/rows`, 'bs=1M', 'count=24', 'oflag=direct'], {
      stdio: 'pipe',
    });
    const read =
      'for i in 1 2 3 4 5 6 7 8; do (while true; do cat /data/rows > /dev/null; done) & done; wait';
    await docker(
      ...['run', '-d', '--name', 'thrashing', '-m', '12m', '--memory-swap', '12m'],
      ...['-v', `${disk.path}:/data`, 'busybox', 'sh', '-c', read],
    );
    const first = await untilFound('HF-D062', 'thrashing');
    expect(first?.evidence).toContain('its limit is 12.6 MB');
    const giveMore = async (): Promise<number> => {
      const found = await look('HF-D062', ['thrashing']);
      for (const { commands } of found) await carryOut(commands[0]);
      return found.length;
    };
    await expect.poll(giveMore, { ...patience, interval: 3000 }).toBe(0);
    expect(await stateOf('thrashing')).toBe('running');
  });

  test('that eats the disk by programs that live for moments is named, by what its control group counts', async () => {
    await using disk = mountLoopFilesystem('ext4', { sizeBytes: 64 << 20 });
    await docker(
      ...['run', '-d', '--name', 'victim', '-v', `${disk.path}:/data`, 'busybox', 'sleep', '10000'],
    );
    const write =
      'for i in 1 2 3 4; do (while true; do dd if=/dev/zero of=/hog/$i bs=16k count=64 oflag=direct; done) & done; wait';
    await docker(...['run', '-d', '--name', 'hog', '-v', `${disk.path}:/hog`, 'busybox', 'sh', '-c', write]);
    // Version 1 counts once there is a limit.
    await limitDisk('hog', 'write', 2 ** 40, disk.path);
    const busy = async (): Promise<Found['findings']> =>
      (await look('HF-D061', ['victim'])).filter(({ subject }) => subject.name === disk.path);
    const counted: unknown = expect.stringMatching(/^"hog" reads and writes [\d.]+ [kMG]?B a second$/);
    const stop = ['docker', 'stop', 'hog'];
    await expect
      .poll(busy, patience)
      .toMatchObject([{ commands: [stop], evidence: expect.arrayContaining([counted]) }]);
    await carryOut(stop);
    await expect.poll(busy, patience).toEqual([]);
  });

  test('that has ended, of which a process runs on, is told of until that is ended', async () => {
    const left = spawn('sleep', ['10000'], { stdio: 'ignore' });
    const ended = once(left, 'exit');
    await docker('run', '-d', '--name', 'undead', '-v', 'undead:/data', 'busybox', 'sleep', '10000');
    const pid = await docker('inspect', '-f', '{{.State.Pid}}', 'undead');
    const [, group = ''] = /^\d+:pids:(.*)$/m.exec(readFileSync(`/proc/${pid}/cgroup`, 'utf8')) ?? [];
    const folder = join(group === '' ? unifiedFolder(pid) : join('/sys/fs/cgroup/pids', group));
    // The kernel tells the start of a process to a second: one that is younger may be of a restart.
    await sleep(2000);
    await docker('stop', '-t', '0', 'undead');
    expect(await look('HF-D087')).toEqual([]);
    // As a process is there that waits in the kernel, and was given up by its engine.
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'cgroup.procs'), String(left.pid));
    const [found] = await look('HF-D087');
    expect(found).toMatchObject({
      subject: { kind: 'container', name: 'undead' },
      commands: [['kill', String(left.pid)]],
    });
    await carryOut(found?.commands[0]);
    await ended;
    rmdirSync(folder);
    expect(await look('HF-D087')).toEqual([]);
  });
});

/** Bytes a second, as an engine sets them; this one's runtime leaves them out where version 1 has the controller. */
async function limitDisk(
  name: string,
  kind: 'read' | 'write',
  bytesPerSecond: number,
  path: string,
): Promise<void> {
  const device = execFileSync('findmnt', ['-n', '-o', 'MAJ:MIN', path], { encoding: 'utf8' }).trim();
  const pid = await docker('inspect', '-f', '{{.State.Pid}}', name);
  const groups = readFileSync(`/proc/${pid}/cgroup`, 'utf8');
  const [, old] = /^\d+:(?:[^:]*,)?blkio(?:,[^:]*)?:(.*)$/m.exec(groups) ?? [];
  if (old === undefined)
    writeFileSync(join(unifiedFolder(pid), 'io.max'), `${device} ${kind[0]}bps=${bytesPerSecond}`);
  else
    writeFileSync(
      join('/sys/fs/cgroup/blkio', old, `blkio.throttle.${kind}_bps_device`),
      `${device} ${bytesPerSecond}`,
    );
}

function unifiedFolder(pid: string): string {
  const [, group = ''] = /^0::(.*)$/m.exec(readFileSync(`/proc/${pid}/cgroup`, 'utf8')) ?? [];
  return join('/sys/fs/cgroup', group);
}

test('a volume that is still mounted for another program keeps its disk busy, until it is unmounted there', async () => {
  const image = join(on.engine.folder, 'disk.img');
  writeFileSync(image, '');
  execFileSync('truncate', ['-s', '64M', image]);
  execFileSync('mkfs.ext4', ['-q', '-F', image]);
  const device = execFileSync('losetup', ['--find', '--show', image], { encoding: 'utf8' }).trim();
  const options = ['type=ext4', `device=${device}`].flatMap((option) => ['-o', option]);
  await docker('volume', 'create', ...options, 'on-disk');
  await docker('run', '-d', '--name', 'user', '-v', 'on-disk:/data', 'busybox', 'sleep', '10000');
  const holder = spawn('unshare', ['--mount', '--propagation', 'private', 'sleep', '10000'], {
    stdio: 'ignore',
  });
  const ended = once(holder, 'exit');
  try {
    await expect.poll(() => readFileSync(`/proc/${holder.pid}/comm`, 'utf8').trim(), patience).toBe('sleep');
    expect(await look('HF-D086')).toEqual([]);
    await docker('rm', '-f', 'user');
    const checkDisk = (): string =>
      execFileSync('mkfs.ext4', ['-q', '-F', device], { encoding: 'utf8', stdio: 'pipe' });
    expect(checkDisk).toThrow('in use');
    const [found] = await look('HF-D086');
    expect(found).toMatchObject({
      subject: { kind: 'volume', name: 'on-disk' },
      commands: [['umount', '--namespace', String(holder.pid), on.engine.volumePath('on-disk')]],
    });
    await carryOut(found?.commands[0]);
    checkDisk();
    expect(await look('HF-D086')).toEqual([]);
  } finally {
    holder.kill('SIGKILL');
    await ended;
    execFileSync('losetup', ['--detach', device]);
    await docker('volume', 'rm', 'on-disk');
  }
});

test('a disk of fstab that is not mounted is told of while an app works in the folder below, until it is mounted', async () => {
  const [place, image, table] = ['big', 'big.img', 'fstab'].map((name) => join(on.engine.folder, name)) as [
    string,
    string,
    string,
  ];
  mkdirSync(place);
  execFileSync('truncate', ['-s', '32M', image]);
  execFileSync('mkfs.ext4', ['-q', image]);
  writeFileSync(table, `${image} ${place} ext4 loop,nofail 0 2\n`);
  const withTable = 'mount --bind "$0" /etc/fstab && exec "$@"';
  const beside = { beside: ['unshare', '--mount', 'sh', '-c', withTable, table] };
  const mount = (): void => void execFileSync('mount', ['-o', 'loop', image, place]);
  const rows = async (): Promise<string> => await docker('exec', 'early', 'ls', '/data');
  try {
    mount();
    mkdirSync(join(place, 'app'));
    writeFileSync(join(place, 'app/rows'), '');
    execFileSync('umount', [place]);
    // The engine makes the folder.
    const app = ['-v', `${place}/app:/data`, 'busybox', 'sleep', '10000'];
    await docker('run', '-d', '--name', 'early', ...app);
    expect(await rows()).toBe('');
    const [found, ...others] = await look('HF-D018', [], beside);
    expect(others).toEqual([]);
    expect(found).toMatchObject({
      subject: { kind: 'mount', name: place },
      commands: [
        ['docker', 'stop', 'early'],
        ['mount', place],
        ['docker', 'start', 'early'],
      ],
    });
    for (const words of found?.commands ?? [])
      if (words[0] === 'mount') mount();
      else await carryOut(words);
    expect(await rows()).toBe('rows');
    expect(await look('HF-D018', [], beside)).toEqual([]);
  } finally {
    await docker('rm', '-f', 'early');
    execFileSync('sh', ['-c', 'umount "$0" 2>/dev/null; rm -r "$@"', place, place, image, table]);
  }
});

describe('systemd and cron', () => {
  let systemd: PrivateSystemd | undefined;
  let beside: Asked;
  beforeAll(async () => {
    systemd = await startSystemd();
    beside = { beside: systemd.beside };
    await docker('run', '-d', '--name', 'kept', 'busybox', 'sleep', '10000');
  });
  afterAll(async () => {
    await systemd?.[Symbol.asyncDispose]();
    await docker('rm', '-f', 'kept');
  });

  async function write(name: string, text: string): Promise<void> {
    systemd?.write(name, text);
    await systemd?.systemctl('daemon-reload');
  }

  async function carryOutBeside(commands: readonly (readonly string[])[] = []): Promise<void> {
    for (const [program = '', ...args] of commands)
      if (program === 'systemctl') await systemd?.systemctl(...args);
      else await carryOut([program, ...args]);
  }

  const engine = (...words: string[]): string =>
    ['/usr/bin/docker', '-H', on.engine.dockerHost, ...words].join(' ');

  async function stopKept(): Promise<void> {
    await docker('stop', '-t', '0', 'kept');
  }

  /** It is started within a second by what is looked for. */
  async function staysStopped(): Promise<boolean> {
    for (let times = 0; times < 20; times += 1) {
      if ((await stateOf('kept')) === 'running') return false;
      await new Promise((resolve) => {
        setTimeout(resolve, 100);
      });
    }
    return true;
  }

  test('a unit that starts a container again is told of while it is at work, and the app runs without it', async () => {
    const text = `[Service]\nExecStart=${engine('start', '-a', 'kept')}\nRestart=always\nRestartSec=100ms\n`;
    await write('kept.service', text);
    expect(await look('HF-D071', [], beside)).toEqual([]);
    await systemd?.systemctl('start', 'kept.service');
    await expect.poll(() => stateOf('kept'), patience).toBe('running');
    await stopKept();
    await expect.poll(() => stateOf('kept'), patience).toBe('running');
    const [found] = await look('HF-D071', [], beside);
    expect(found).toMatchObject({ subject: { kind: 'container', name: 'kept' } });
    await carryOutBeside(found?.commands);
    expect(await stateOf('kept')).toBe('running');
    expect(await look('HF-D071', [], beside)).toEqual([]);
    await stopKept();
    expect(await staysStopped()).toBe(true);
    await docker('start', 'kept');
  });

  test('a timer that starts a container again is told of until it is turned off', async () => {
    await write('fresh.service', `[Service]\nType=oneshot\nExecStart=${engine('start', 'kept')}\n`);
    await write('fresh.timer', '[Timer]\nOnActiveSec=0\nOnUnitInactiveSec=200ms\nAccuracySec=1ms\n');
    await systemd?.systemctl('start', 'fresh.timer');
    await stopKept();
    await expect.poll(() => stateOf('kept'), patience).toBe('running');
    const [found] = await look('HF-D072', [], beside);
    expect(found).toMatchObject({ commands: [['systemctl', 'disable', '--now', 'fresh.timer']] });
    await carryOutBeside(found?.commands);
    expect(await look('HF-D072', [], beside)).toEqual([]);
    await stopKept();
    expect(await staysStopped()).toBe(true);
    await docker('start', 'kept');
  });

  test('an entry of cron that starts a container is told of until its line is gone', async () => {
    const file = join(systemd?.cron ?? '', 'restart');
    writeFileSync(file, '30 4 * * * root docker restart kept\n');
    expect(await look('HF-D072', [], beside)).toMatchObject([{ subject: { name: 'kept' } }]);
    rmSync(file);
    expect(await look('HF-D072', [], beside)).toEqual([]);
  });

  test('the service of the daemon that has failed is told of, and runs after the commands', async () => {
    const state = join(on.engine.folder, 'service-state');
    const unit = (program: string): string =>
      `[Service]\nType=notify\nExecStart=${program} daemon\nEnvironment=HOLDFAST_STATE_DIR=${state} HOLDFAST_HOST=docker DOCKER_HOST=${on.engine.dockerHost} PATH=${process.env['PATH']} HOME=${on.engine.folder}\n`;
    await write('holdfast.service', unit('/nowhere/holdfast'));
    expect(await look('HF-D096', [], beside)).toEqual([]);
    await systemd?.systemctl('start', 'holdfast.service').catch(() => {
      // It is to fail.
    });
    const [found] = await look('HF-D096', [], beside);
    expect(found?.evidence.join()).toContain('exit number 203');
    await write('holdfast.service', unit(command));
    await carryOutBeside(found?.commands.filter(([program]) => program === 'systemctl'));
    expect(await systemd?.systemctl('is-active', 'holdfast.service')).toBe('active');
    expect(await look('HF-D096', [], beside)).toEqual([]);
    await systemd?.systemctl('stop', 'holdfast.service');
  });

  test('a timer of Holdfast whose backup fails is told of, and is well when it was started again', async () => {
    const program = join(on.engine.folder, 'holdfast');
    symlinkSync(command, program);
    const variables = `HOLDFAST_STATE_DIR=${on.cli.stateDir} HOLDFAST_HOST=docker DOCKER_HOST=${on.engine.dockerHost} PATH=${process.env['PATH']} HOME=${on.engine.folder}`;
    await write(
      'nightly.service',
      `[Service]\nType=oneshot\nExecStart=${program} backup later\nEnvironment=${variables}\n`,
    );
    await write('nightly.timer', '[Timer]\nOnActiveSec=0\n');
    await systemd?.systemctl('start', 'nightly.timer');
    await expect.poll(() => look('HF-D099', [], beside), patience).toHaveLength(1);
    const [found] = await look('HF-D099', [], beside);
    expect(found?.subject.name).toBe('nightly.service');
    expect(found?.evidence).toContain('the timer "nightly.timer" starts it');
    expect(found?.evidence.join()).toContain('exit number 4');
    await docker('volume', 'create', 'later');
    await carryOutBeside(found?.commands.filter(([name]) => name === 'systemctl'));
    expect(await look('HF-D099', [], beside)).toEqual([]);
    expect(await on.run(['snapshots', 'later', '--quiet'])).toMatchObject({ stdout: /\S/ });
    await systemd?.systemctl('stop', 'nightly.timer');
  });
});

/** The command's own clock is off by so much. */
function clock(wrongByMs: number): Record<string, string> {
  const script = `const now = Date.now.bind(Date); Date.now = () => now() + ${wrongByMs};`;
  return { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(script)}` };
}

const hourMs = 3_600_000;

describe('a clock', () => {
  test('that is not the engine’s is told of, and not when it is right', async () => {
    const [found] = await look('HF-D098', [], { env: clock(-hourMs) });
    expect(found?.message).toMatch(/^The engine's clock is (?:1h|59m|60m).* ahead of this machine's$/);
    expect((await look('HF-D098', [], { env: clock(hourMs) }))[0]?.message).toContain('behind');
    expect(await look('HF-D098')).toEqual([]);
  });

  test('that was ahead at a backup is told of, until what it has named is forgotten', async () => {
    await docker('volume', 'create', 'timed');
    await on.run(['backup', 'timed']);
    expect(await look('HF-D094')).toEqual([]);
    await on.run(['backup', 'timed'], { env: clock(48 * hourMs) });
    const [found] = await look('HF-D094');
    const [program, ...args] = found?.commands.at(-1) ?? [];
    expect(program).toBe('holdfast');
    expect(args).toContain('--dry-run');
    await on.run([...args.filter((word) => word !== '--dry-run'), '--yes']);
    expect(await look('HF-D094')).toEqual([]);
  });
});

describe('Holdfast itself', () => {
  test('is well with its first key alone, which is told of as a hint', async () => {
    using cli = new Cli();
    await cli.init();
    const env = { HOLDFAST_STATE_DIR: cli.stateDir };
    expect(await look('HF-D091', [], { env })).toMatchObject([{ isHint: true }]);
    const { exit, stdout } = await on.attempt(['doctor'], { env });
    expect(exit, stdout).toBe(0);
    expect(stdout).toContain('Healthy');
  });

  test('has a daemon that hangs and is behind, and one that is started anew does what is due', async () => {
    await docker('volume', 'create', 'due');
    const file = join(on.cli.stateDir, 'holdfast.yaml');
    writeFileSync(file, 'policies:\n  hourly:\n    schedule: "0 * * * *"\n    volumes: [due]\n');
    const env = { env: clock(3 * hourMs) };
    const first = on.start(['daemon']);
    try {
      await expect.poll(() => look('HF-D092'), patience).toEqual([]);
      expect(await look('HF-D093')).toEqual([]);
      process.kill(first.child.pid ?? 0, 'SIGSTOP');
      await expect.poll(() => look('HF-D093', [], env), patience).toHaveLength(1);
    } finally {
      await first.kill();
    }
    const second = spawn(command, ['daemon'], {
      env: {
        ...process.env,
        ...on.environment(),
        HOLDFAST_STATE_DIR: on.cli.stateDir,
        ...env.env,
      },
      stdio: 'ignore',
    });
    const ended = once(second, 'exit');
    await expect.poll(() => look('HF-D093', [], env), patience).toEqual([]);
    expect(await on.run(['snapshots', 'due', '--quiet'], env)).toMatchObject({ stdout: /\S/ });
    second.kill('SIGTERM');
    await ended;
    rmSync(file);
    // Its snapshots are from the future now.
    for (const { commands } of await look('HF-D094'))
      await on.run([
        ...(commands.at(-1) ?? []).slice(1).filter((word) => word !== '--dry-run'),
        ...['--yes', '--allow-empty'],
      ]);
    await docker('volume', 'rm', 'due');
  });

  test('has a repository without room for a backup like the last one, until it is pruned', async () => {
    await using disk = mountLoopFilesystem('ext4', { sizeBytes: 96 << 20 });
    using cli = new Cli();
    const env = { HOLDFAST_STATE_DIR: cli.stateDir };
    const run = async (...args: string[]): Promise<string> => (await on.run(args, { env })).stdout;
    await run('init', '--repo', join(disk.path, 'repository'));
    await docker('volume', 'create', 'large');
    const save = async (): Promise<void> => {
      writeFileSync(join(on.engine.volumePath('large'), 'rows'), randomBytes(30 << 20));
      await run('backup', 'large', '--consistency', 'live');
    };
    await save();
    expect(await look('HF-D095', [], { env })).toEqual([]);
    await save();
    const [found] = await look('HF-D095', [], { env });
    expect(found?.commands).toEqual([['holdfast', 'prune']]);
    await run('forget', 'large', '--keep-last', '1', '--keep-verified', '0', '--yes');
    await run(...(found?.commands[0] ?? []).slice(1), '--yes');
    expect(await look('HF-D095', [], { env })).toEqual([]);
    await save();
    await docker('volume', 'rm', 'large');
  });

  test('has stopped an app that it cannot start again, and brings it back when it can', async () => {
    const source = join(on.engine.folder, 'needed');
    mkdirSync(source, { recursive: true });
    await docker('rm', '-f', 'app');
    await docker('volume', 'create', 'of-app');
    writeFileSync(join(on.engine.volumePath('of-app'), 'large'), randomBytes(150 << 20));
    // What it writes while the backup reads has to be read again while it is still: long enough to be seen.
    const app = `trap 'cp /data/large /data/last; exit 0' TERM
      while :; do cp /data/large /data/twin; sleep 0.2; done`;
    await docker(
      ...['run', '-d', '--name', 'app', '--stop-timeout', '60', '-v', 'of-app:/data'],
      ...['--mount', `type=bind,source=${source},target=/needed`, 'busybox', 'sh', '-c', app],
    );
    await killWhile('exited', 'stop');
    renameSync(source, `${source}.away`);
    const [found] = await look('HF-D097');
    expect(found?.evidence.join()).toContain('back up "of-app"');
    expect(await stateOf('app')).toBe('exited');
    renameSync(`${source}.away`, source);
    const [program, ...args] = found?.commands[0] ?? [];
    expect(program).toBe('holdfast');
    await on.run(args);
    expect(await stateOf('app')).toBe('running');
    expect(await look('HF-D097')).toEqual([]);
    // What can be brought back at once is: the doctor begins with it as each command does.
    await killWhile('paused', 'pause');
    expect(await look('HF-D097')).toEqual([]);
    expect(await stateOf('app')).toBe('running');
    await docker('rm', '-f', 'app');
  });

  /** Kills a backup of the app, with all of its processes, when it has brought the app to this state. */
  async function killWhile(state: string, way: string): Promise<void> {
    // One that comes too late is made again.
    for (let tries = 0; tries < 5; tries++) {
      const { child, ended } = on.start(['backup', 'of-app', '--consistency', way]);
      const hasEnded = (): boolean => child.exitCode !== null;
      await expect
        .poll(async () => hasEnded() || (await stateOf('app')) === state, { timeout: 180_000, interval: 10 })
        .toBe(true);
      killWithGuardians(child, on.cli.stateDir);
      if ((await ended) && (await stateOf('app')) === state) return;
      await on.run(['recover']);
    }
    throw new Error(`No backup was caught while the app was ${state}`);
  }
});
