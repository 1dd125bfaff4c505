import { execFileSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { pidNamespace } from '../../lib/process-identity.ts';
import { isProcessHoldAlive, processHoldId } from './hold-id.ts';

test('a hold of a process ends with it', () => {
  expect(isProcessHoldAlive(processHoldId())).toBe(true);
  const pid = execFileSync('sh', ['-c', 'echo $$'], { encoding: 'utf8' }).trim();
  expect(isProcessHoldAlive(`process:${pid}:1:${pidNamespace()}:00`)).toBe(false);
  expect(isProcessHoldAlive(`process:${pid}:1:00`)).toBe(false);
  expect(isProcessHoldAlive('a container')).toBeUndefined();
});

test('a hold of a process in another PID namespace, which cannot be seen from here, does not count as dead', () => {
  expect(isProcessHoldAlive('process:1:1:4026531999:00')).toBe(true);
});
