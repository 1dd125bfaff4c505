import { expect, test } from 'vitest';
import { lackUnder } from './quotas.ts';

const none = {
  ...{ hardBytes: 0, softBytes: 0, usedBytes: 0, bytesUntil: 0 },
  ...{ hardFiles: 0, softFiles: 0, usedFiles: 0, filesUntil: 0 },
};
const mebibyte = 1 << 20;

test('without a limit, and far below one, nothing is missing', () => {
  expect(lackUnder({ ...none, usedBytes: 1e12, usedFiles: 1e6 })).toBeUndefined();
  expect(
    lackUnder({
      ...none,
      hardBytes: 1000 * mebibyte,
      usedBytes: 900 * mebibyte,
      hardFiles: 20,
      usedFiles: 5,
    }),
  ).toBeUndefined();
});

test('a hard limit that is all but reached is missing, of room and of files', () => {
  const room = { ...none, hardBytes: 1000 * mebibyte, usedBytes: 990 * mebibyte };
  expect(lackUnder(room)).toMatchObject({ of: 'room', limit: room.hardBytes, isSoft: false });
  expect(lackUnder({ ...none, hardFiles: 20, usedFiles: 20 })).toMatchObject({ of: 'files', limit: 20 });
});

test('a soft limit counts when its time runs or is over', () => {
  const passed = { ...none, softBytes: 10 * mebibyte, hardBytes: 1000 * mebibyte, usedBytes: 11 * mebibyte };
  expect(lackUnder({ ...passed, bytesUntil: 1_764_400_000 })).toMatchObject({
    isSoft: true,
    until: 1_764_400_000,
  });
  expect(lackUnder(passed)).toBeUndefined();
});
