import { expect, test } from 'vitest';
import { AppError } from '../model/errors.ts';
import { findContext, listSnapshots } from './snapshots.ts';
import { openStreamedWorld } from '../../test/fixtures/streamed-world.ts';

test.each(['unavailable', 'denied', 'conflict', 'failed'] as const)(
  'snapshots are listed and found by their names where the host is %s, unless it has failed',
  async (code) => {
    await using world = await openStreamedWorld();
    const error = new AppError(code, 'No host');
    const sources = { ...world, host: () => Promise.reject(error) };
    if (code === 'failed') return await expect(findContext(sources, {})).rejects.toBe(error);
    expect(await listSnapshots(sources, { name: 'far' }, {})).toMatchObject([{ name: 'far' }]);
  },
);
