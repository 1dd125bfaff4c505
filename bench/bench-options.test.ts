import { expect, it } from 'vitest';
import { parseBenchOptions } from './bench-options.ts';

it('has defaults that need no argument', () => {
  expect(parseBenchOptions([])).toMatchObject({
    rounds: 3,
    install: true,
    withDocker: false,
    peers: undefined,
  });
});

it('reads numbers, names and switches', () => {
  const args = ['--scale', '0.5', '--rounds=7', '--peers', 'restic, CP', '--no-install', '--with-docker'];
  expect(parseBenchOptions(args)).toMatchObject({
    scale: 0.5,
    rounds: 7,
    peers: ['restic', 'cp'],
    install: false,
    withDocker: true,
  });
});

it.each([
  ['--scale', '0'],
  ['--scale', 'big'],
  ['--scale', ''],
  ['--rounds', '1.5'],
  ['--rounds', '-1'],
  ['--fast'],
])('refuses %s %s as wrong usage', (...args) => {
  expect(() => parseBenchOptions(args)).toThrow(expect.objectContaining({ code: 'usage' }));
});
