import { expect, test } from 'vitest';
import { AppError } from '../model/errors.ts';
import { explainContainerPath } from './path-in-container.ts';
import { someSnapshot } from '../../test/fixtures/some-snapshot.ts';

const snapshot = someSnapshot({ id: 'a'.repeat(64), time: '2026-01-01T00:00:00Z' });
const mounted = {
  ...snapshot,
  volume: snapshot.volume && {
    ...snapshot.volume,
    consumers: [{ path: '/var/lib/postgresql/data' }].map((one) => ({
      ...one,
      id: 'db',
      name: 'db',
      image: 'postgres',
      state: 'running' as const,
      stack: undefined,
      service: undefined,
      readOnly: false,
    })),
  },
};

test.each([
  ['/var/lib/postgresql/data/base/1', 'write base/1'],
  ['var/lib/postgresql/data', 'write /'],
])('a path as the container sees it is told below the root of the volume: %s', (path, hint) => {
  const error = explainContainerPath(new AppError('not-found', 'There is no such path'), mounted, path);
  expect((error as AppError).hint).toContain(hint);
});

test('another path, and another error, stay as they are', () => {
  const gone = new AppError('not-found', 'There is no such path');
  expect(explainContainerPath(gone, mounted, '/var/lib/postgresql/database')).toBe(gone);
  const other = new AppError('failed', 'x');
  expect(explainContainerPath(other, mounted, '/var/lib/postgresql/data/base')).toBe(other);
});
