import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { runCommand } from '../../scripts/run-command.ts';

export interface PrivateSystemd extends AsyncDisposable {
  /** The folder of units: `/etc/systemd/system` for systemd and for what runs beside it. */
  readonly units: string;
  /** `/etc/cron.d` for what runs beside it. */
  readonly cron: string;
  /** Before the command line of a program that is to see this systemd as the machine's. */
  readonly beside: readonly string[];
  write(name: string, text: string): void;
  /** Runs `systemctl`, and gives its output. */
  systemctl(...args: string[]): Promise<string>;
}

/** Its units need these, which do nothing here. */
const targets = ['sysinit', 'basic', 'shutdown', 'timers', 'multi-user'];

const boot = `
mount --make-rprivate /
umount -R /sys/fs/cgroup
mount -t cgroup2 none /sys/fs/cgroup
mount -t proc proc /proc
mount --bind "$0/run" /run
mount --bind "$0/units" /etc/systemd/system
for folder in /usr/lib/systemd/system /usr/lib/systemd/system-generators /usr/local/lib/systemd /var/log
do test ! -d "$folder" || mount -t tmpfs tmpfs "$folder"; done
exec /usr/lib/systemd/systemd --system --unit=multi-user.target --show-status=no --log-target=null`;

const enter = `
mount --bind "$0/run" /run
mount --bind "$0/units" /etc/systemd/system
mkdir -p /etc/cron.d
mount --bind "$0/cron" /etc/cron.d
exec "$@"`;

/**
 * A systemd of the test's own, as the first process of namespaces of its own, with the units that are written for it
 * and no others. Needs root.
 */
export async function startSystemd(): Promise<PrivateSystemd> {
  const folder = mkdtempSync(join(tmpdir(), 'systemd-'));
  const [run, units, cron] = [join(folder, 'run'), join(folder, 'units'), join(folder, 'cron')];
  for (const path of [run, units, cron]) mkdirSync(path);
  const group = join(unifiedGroups(), `holdfast-test-${process.pid}-${folder.slice(-6)}`);
  mkdirSync(group);
  execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', run]);
  for (const name of targets)
    writeFileSync(join(units, `${name}.target`), '[Unit]\nDefaultDependencies=no\n');
  const namespaces = ['--mount', '--pid', '--net', '--ipc', '--uts', '--cgroup'];
  const child = spawn(
    'sh',
    [
      '-c',
      'echo $$ > "$0/cgroup.procs" && exec "$@"',
      group,
      ...['unshare', ...namespaces, '--fork', '--kill-child=KILL', 'sh', '-ec', boot, folder],
    ],
    { stdio: ['ignore', 'ignore', 'pipe'], env: { ...process.env, container: 'holdfast-test' } },
  );
  // It answers to processes that it has a number for; the machine's own /proc stays in their view.
  const beside = (): readonly string[] => [
    ...['nsenter', `--pid=/proc/${child.pid}/ns/pid_for_children`],
    ...['unshare', '--mount', '--propagation', 'private', 'sh', '-ec', enter, folder],
  ];
  const systemctl = async (...args: string[]): Promise<string> => {
    const [program = '', ...before] = beside();
    const { stdout, output, exitCode } = await runCommand(program, [...before, 'systemctl', ...args]);
    if (exitCode === 0) return stdout.trim();
    throw new Error(`systemctl ${args.join(' ')}: ${output}`);
  };
  const systemd: PrivateSystemd = {
    ...{ units, cron, systemctl },
    get beside() {
      return beside();
    },
    write: (name, text) => writeFileSync(join(units, name), text),
    async [Symbol.asyncDispose]() {
      await end(child);
      removeGroups(group);
      execFileSync('umount', [run]);
      rmSync(folder, { recursive: true, force: true });
    },
  };
  try {
    await untilReady(systemd, child);
    return systemd;
  } catch (error) {
    await systemd[Symbol.asyncDispose]();
    throw error;
  }
}

const readyMs = 60_000;

async function untilReady({ systemctl }: PrivateSystemd, child: ChildProcess): Promise<void> {
  let said = '';
  child.stderr?.on('data', (chunk: Buffer) => (said += chunk.toString()));
  const deadline = Date.now() + readyMs;
  while (Date.now() < deadline && child.exitCode === null) {
    const state = await systemctl('is-active', 'multi-user.target').catch((error: unknown) => String(error));
    if (state === 'active') return;
    await sleep(100);
  }
  throw new Error(`systemd did not start: ${said}`);
}

/** The mount of version 2, alone or beside version 1. */
function unifiedGroups(): string {
  const found = /^\S+ \S+ \S+ \/ (\S+) .* - cgroup2 /m.exec(readFileSync('/proc/self/mountinfo', 'utf8'));
  if (found?.[1] === undefined) throw new Error('There are no control groups of version 2 here');
  return found[1];
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
}

/** What was in them ends a moment after the first process of its namespace. */
function removeGroups(group: string): void {
  const remove = (folder: string): void => {
    for (const entry of readdirSync(folder, { withFileTypes: true }))
      if (entry.isDirectory()) remove(join(folder, entry.name));
    rmdirSync(folder);
  };
  for (let attempt = 1; ; attempt += 1) {
    try {
      remove(group);
      return;
    } catch (error) {
      if (attempt === 100) throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100);
    }
  }
}
