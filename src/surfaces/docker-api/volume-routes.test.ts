import { expect, test } from 'vitest';
import type { ManagedVolume } from '../../app/app.ts';
import { AppError } from '../../model/errors.ts';
import { someVolume } from '../../../test/fixtures/some-volume.ts';
import type { ApiCall, ApiParts } from './api-parts.ts';
import { removeVolume } from './volume-routes.ts';

test('a forced removal, as "compose down --volumes" requests it, loses no files that have not reached their storage', async () => {
  const volume = { ...someVolume('pg'), mountIds: [], isProtected: false } as unknown as ManagedVolume;
  const remove: ApiParts['volumes']['remove'] = (_name, { losesUnsaved = false } = {}) =>
    losesUnsaved
      ? Promise.resolve()
      : Promise.reject(new AppError('conflict', '2 files have not reached it'));
  const parts = { volumes: { find: () => Promise.resolve(volume), remove } } as unknown as ApiParts;
  const call = { name: 'pg', query: new URLSearchParams('force=1') } as unknown as ApiCall;
  await expect(removeVolume(parts, call)).rejects.toThrow('2 files have not reached it');
});
