import { expect, test } from 'vitest';
import { pathSuffix } from './clean-path.ts';

test.each([
  ['dir', ''],
  ['dir/', '/'],
  ['dir/.', '/.'],
  ['.', '/.'],
  ['/', '/'],
  ['.hidden', ''],
  ['dir/..', ''],
])('pathSuffix() of %j is %j', (text, suffix) => expect(pathSuffix(text)).toBe(suffix));
