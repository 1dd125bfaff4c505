import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { AppError, errnoOf, exitNumber, httpStatus, isAppError } from './errors.ts';

test('an AppError keeps its code, detail, hint and cause', () => {
  const cause = new Error('ENOENT');
  const error = new AppError('not-found', 'No volume "pg"', { detail: 'd', hint: 'h', cause });
  expect(error).toMatchObject({
    code: 'not-found',
    message: 'No volume "pg"',
    detail: 'd',
    hint: 'h',
    cause,
  });
  expect(error).toBeInstanceOf(Error);
});

test('an AppError without a cause has no `cause` at all', () => {
  expect(new AppError('failed', 'm')).not.toHaveProperty('cause');
});

test('exit numbers are the documented ones', () => {
  expect(exitNumber('usage')).toBe(2);
  expect(exitNumber('partial')).toBe(3);
  expect(exitNumber('not-found')).toBe(4);
  expect(exitNumber('in-use')).toBe(5);
  expect(exitNumber('locked')).toBe(5);
  expect(exitNumber('integrity')).toBe(6);
  expect(exitNumber('failed')).toBe(1);
});

test('HTTP statuses agree with the engine’s classes', () => {
  expect(httpStatus('not-found')).toBe(404);
  expect(httpStatus('usage')).toBe(400);
  expect(httpStatus('in-use')).toBe(409);
  expect(httpStatus('unavailable')).toBe(503);
});

test('isAppError() distinguishes an AppError, and its code, from other errors', () => {
  expect(isAppError(new AppError('full', 'm'))).toBe(true);
  expect(isAppError(new AppError('full', 'm'), 'full')).toBe(true);
  expect(isAppError(new AppError('full', 'm'), 'usage')).toBe(false);
  expect(isAppError(new Error('m'))).toBe(false);
  expect(isAppError({ code: 'full' })).toBe(false);
});

test('errnoOf() names the errno of a system error only', () => {
  try {
    readFileSync('/nonexistent/file');
    expect.unreachable();
  } catch (error) {
    expect(errnoOf(error)).toBe('ENOENT');
  }
  expect(errnoOf(Object.assign(new Error('m'), { code: 'ERR_INVALID_ARG_TYPE' }))).toBeUndefined();
  expect(errnoOf(Object.assign(new Error('m'), { code: 5 }))).toBeUndefined();
  expect(errnoOf('ENOENT')).toBeUndefined();
});
