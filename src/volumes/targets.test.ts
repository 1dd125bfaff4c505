import { expect, test } from 'vitest';
import { chooseVolumes } from './targets.ts';
import { someVolume } from '../../test/fixtures/some-volume.ts';

const volumes = [
  someVolume('a', { stack: 'shop' }),
  someVolume('b', { labels: { 'holdfast.backup': 'false' } }),
  someVolume('c'),
  someVolume('d', { stack: 'blog' }),
];

test('chooseVolumes() takes all volumes, and names those that their label excludes', () => {
  const chosen = chooseVolumes(volumes, { all: true, stacks: [] });
  expect(chosen.volumes.map(({ name }) => name)).toEqual(['a', 'c', 'd']);
  expect(chosen.skipped).toEqual([{ name: 'b', reason: expect.stringContaining('holdfast.backup=false') }]);
});

test('chooseVolumes() takes a stack, and suggests a similar one', () => {
  expect(chooseVolumes(volumes, { all: false, stacks: ['shop'] }).volumes.map(({ name }) => name)).toEqual([
    'a',
  ]);
  expect(() => chooseVolumes(volumes, { all: false, stacks: ['shpo'] })).toThrow(
    expect.objectContaining({ code: 'not-found', hint: expect.stringContaining('"shop"') }),
  );
});

test('chooseVolumes() leaves out volumes in memory', () => {
  const memory = someVolume('m', { options: { type: 'tmpfs', device: 'tmpfs' } });
  expect(chooseVolumes([memory], { all: true, stacks: [] })).toEqual({
    volumes: [],
    skipped: [{ name: 'm', reason: 'it is in memory only' }],
  });
});
