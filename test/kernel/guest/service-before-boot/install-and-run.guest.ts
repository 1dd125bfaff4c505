import { beforeAll, expect, test } from 'vitest';
import type { ServiceUnit } from '../../../../src/surfaces/cli/service/daemon-service.ts';
import { installService } from '../../../../src/surfaces/cli/service/install-service.ts';
import { importBusybox } from '../../../docker/private-engine.ts';
import { holdfastCommand } from '../../../support/holdfast-command.ts';
import { engineAddress } from '../test-command.ts';
import {
  holdfast,
  isAppRunning,
  newestBackupMs,
  output,
  printedService,
  propertyOf,
  settled,
  startApp,
} from '../service.ts';

let service: ServiceUnit;
beforeAll(async () => {
  await holdfast.run('init');
  await importBusybox('/disk/tmp', async (args) => await output('docker', ...args));
  await startApp();
  service = await printedService();
});

test('the printed unit is started by systemd, and makes backups with the engine at its own address', async () => {
  const state = await installService(service);
  expect(state).toEqual({ active: 'active', isEnabled: true, isCurrent: true, result: 'success' });
  expect(await output('systemctl', 'status', '--no-pager', 'holdfast')).toContain('Running policies');
  await expect.poll(newestBackupMs, settled).toBeGreaterThan(0);
});

test('a service that runs with the same unit is left alone when it is installed again', async () => {
  const before = await propertyOf('MainPID');
  await installService(service);
  expect(await propertyOf('MainPID')).toBe(before);
});

test('a stop in the middle of a backup leaves the container running', async () => {
  await expect.poll(isAppRunning, settled).toBe(false);
  await output('systemctl', 'stop', 'holdfast');
  expect(await isAppRunning()).toBe(true);
  expect(await propertyOf('Result')).toBe('success');
  await output('systemctl', 'start', 'holdfast');
});

test('a daemon that is killed in the middle of a backup is started again, and brings the container back', async () => {
  await expect.poll(isAppRunning, settled).toBe(false);
  const killed = await propertyOf('MainPID');
  await output('kill', '-KILL', killed);
  await expect.poll(() => propertyOf('ActiveState'), settled).toBe('active');
  expect(await propertyOf('MainPID')).not.toBe(killed);
  await expect.poll(isAppRunning, settled).toBe(true);
});

test('setup goes from an engine alone to a service that makes backups, and changes nothing when it is repeated', async () => {
  const fresh = holdfastCommand('/var/lib/holdfast/from-nothing', {
    HOLDFAST_HOST: 'auto',
    DOCKER_HOST: engineAddress,
    HOME: '/root',
  });
  const newestMs = async (): Promise<number> => {
    const listed = await fresh.run('snapshots', 'data', '--format', 'json');
    return Math.max(0, ...(JSON.parse(listed) as { time: string }[]).map(({ time }) => Date.parse(time)));
  };
  try {
    const args = ['setup', '--repo', '/var/lib/holdfast/from-nothing-repo', '--yes'];
    // The daemon may make the first backup before the command that has started it.
    expect(await fresh.run(...args, '--schedule', '*/4 * * * * *')).toMatch(/^Protected: .*data/m);
    const since = Date.now();
    expect(await propertyOf('ActiveState')).toBe('active');
    await expect.poll(newestMs, settled).toBeGreaterThan(since);
    const daemon = await propertyOf('MainPID');
    expect(await fresh.run(...args)).toMatch(/^All of it was set up already/);
    expect(await propertyOf('MainPID')).toBe(daemon);
  } finally {
    await installService(service);
  }
});

test('the unit of another is not replaced', async () => {
  const other = { ...service, path: '/etc/systemd/system/docker.service' };
  await expect(installService(other)).rejects.toMatchObject({ code: 'conflict' });
});

test('a daemon that cannot start is reported in its own words, and starts when its unit is repaired', async () => {
  const text = service.text.replace(
    /^ExecStart=.*$/m,
    'ExecStart=/bin/sh -c "echo No such luck >&2; exit 2"',
  );
  await expect(installService({ ...service, text })).rejects.toMatchObject({
    code: 'failed',
    detail: expect.stringContaining('No such luck'),
  });
  expect(await installService(service)).toMatchObject({ active: 'active', isCurrent: true });
});
