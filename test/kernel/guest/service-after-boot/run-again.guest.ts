import { expect, test } from 'vitest';
import { serviceState } from '../../../../src/surfaces/cli/service/install-service.ts';
import { isAppRunning, newestBackupMs, printedService, propertyOf, settled } from '../service.ts';

test('after a boot the service runs by itself, and makes the next backup', async () => {
  const since = Date.now();
  await expect.poll(() => propertyOf('ActiveState'), settled).toBe('active');
  expect(await serviceState(await printedService())).toMatchObject({ isEnabled: true, isCurrent: true });
  await expect.poll(newestBackupMs, settled).toBeGreaterThan(since);
  await expect.poll(isAppRunning, settled).toBe(true);
});
