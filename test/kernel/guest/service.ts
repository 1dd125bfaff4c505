import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { runProgram } from '../../../src/lib/run-program.ts';
import type { ServiceUnit } from '../../../src/surfaces/cli/service/daemon-service.ts';
import { holdfastCommand } from '../../support/holdfast-command.ts';
import { engineAddress } from './test-command.ts';

/** Survives a reboot. Its name has all characters that are special to systemd. */
export const stateDir = '/var/lib/holdfast/100% $HOME "state"';

export const settled = { timeout: 200_000, interval: 200 };

/** The command as a user at a terminal of the guest runs it. */
export const holdfast = holdfastCommand(stateDir, {
  HOLDFAST_HOST: 'auto',
  DOCKER_HOST: engineAddress,
  HOME: '/root',
});

/** The service unit that the command itself prints. */
export async function printedService(): Promise<ServiceUnit> {
  const printed = await holdfast.run('daemon', '--print-unit', '--format', 'json');
  const { unit, path } = JSON.parse(printed) as { unit: string; path: string };
  return { scope: 'system', name: 'holdfast.service', path, text: unit };
}

export async function output(program: string, ...args: string[]): Promise<string> {
  const { status, stdout, stderr } = await runProgram(program, args, { env: { DOCKER_HOST: engineAddress } });
  expect(status, `${program} ${args.join(' ')}: ${stderr}`).toBe(0);
  return stdout.trim();
}

/** A property of the daemon's unit. */
export async function propertyOf(name: string): Promise<string> {
  return await output('systemctl', 'show', '--value', `--property=${name}`, 'holdfast.service');
}

/** The time of the volume's newest snapshot; 0 without one. */
export async function newestBackupMs(): Promise<number> {
  const listed = JSON.parse(await holdfast.run('snapshots', 'data', '--format', 'json')) as {
    time: string;
  }[];
  return Math.max(0, ...listed.map(({ time }) => Date.parse(time)));
}

export async function isAppRunning(): Promise<boolean> {
  return (await output('docker', 'inspect', '-f', '{{.State.Running}}', 'app')) === 'true';
}

/**
 * A volume whose container is stopped for seconds every few seconds, so that it always has much new data. Its shell waits
 * and writes without another process: a User-Mode Linux panics (`flush_tlb_mm`) when a process is killed in its fork.
 */
export async function startApp(): Promise<void> {
  await output('docker', 'volume', 'create', 'data');
  const write =
    'dd if=/dev/urandom of=/data/file bs=1M count=24; mkfifo /never; exec 3<>/never; ' +
    'while :; do read -t 0.2 word <&3; printf . 1<>/data/file; done';
  const args = ['--name', 'app', '--init=false', '--stop-signal', 'KILL', '--restart', 'unless-stopped'];
  await output(
    'docker',
    'run',
    '-d',
    ...args,
    '-v',
    'data:/data',
    '--network=none',
    'busybox',
    'sh',
    '-c',
    write,
  );
  writeFileSync(
    join(stateDir, 'holdfast.yaml'),
    `policies:\n  often: { volumes: data, schedule: '*/4 * * * * *', consistency: stop }\n`,
  );
}
