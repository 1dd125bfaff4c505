import { expect, test } from 'vitest';
import { bootId, mayHaveNumber, pidNamespace } from './process-identity.ts';

test('a process knows its machine and its PID namespace', () => {
  expect(bootId()).toMatch(/^[0-9a-f-]{36}$/);
  expect(pidNamespace()).toMatch(/^\d+$/);
});

test('a number that a process has is never taken for free', () => {
  expect(mayHaveNumber(process.pid)).toBe(true);
  expect(mayHaveNumber(1)).toBe(true);
});
