import { hostname } from 'node:os';
import { expect, test } from 'vitest';
import type { Host } from '../hosts/host.ts';
import { AppError, type ErrorCode } from '../model/errors.ts';
import { machineNames } from './namesakes.ts';

const failing = (code: ErrorCode) => ({
  host: (): Promise<Host> => Promise.reject(new AppError(code, 'No engine')),
});

test.each(['unavailable', 'denied', 'conflict'] as const)(
  'the names of a machine are known without its engine, which keeps no snapshots from being forgotten: %s',
  async (code) => {
    expect([...(await machineNames(failing(code), undefined))]).toEqual([hostname()]);
  },
);

test('other errors of the engine are errors of the names too', async () => {
  await expect(machineNames(failing('failed'), undefined)).rejects.toMatchObject({ code: 'failed' });
});
