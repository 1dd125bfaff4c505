import { expect, test } from 'vitest';
import { AppError } from '../model/errors.ts';
import { sayFailure } from './say-failure.ts';

function said(what: string, error: AppError): string {
  const lines: string[] = [];
  sayFailure((line) => lines.push(line), what, error);
  return lines.join('\n');
}

test('a request that failed is logged with its whole error, on one line', () => {
  const error = new AppError('failed', 'Cannot list volumes', {
    detail: 'the disk is on fire\n  since noon\n',
  });
  expect(said('GET /volumes', error)).toBe(
    'GET /volumes: Cannot list volumes: the disk is on fire; since noon',
  );
});

test('a request with a name of a megabyte makes no line of a megabyte', () => {
  const name = 'n'.repeat(1 << 20);
  expect(said('VolumeDriver.Create', new AppError('usage', `Cannot create "${name}"`))).toHaveLength(4001);
});
