import { expect, test } from 'vitest';
import { isKernelSince } from './file-extents.ts';

test.each([
  ['6.1.0-28-amd64', true],
  ['6.12.48+deb13-amd64', true],
  ['7.0.0', true],
  ['5.15.0-1-generic', false],
  ['6.0.19', false],
  ['10.2', true],
  ['what is this', false],
])('%s is Linux 6.1 or later: %s', (kernel, isSo) => {
  expect(isKernelSince(kernel, [6, 1])).toBe(isSo);
});
