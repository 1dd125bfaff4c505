import { expect, test } from 'vitest';
import type { Volume } from '../model/volume.ts';
import { chooseVolumes } from './targets.ts';

function volume(name: string, fields: Partial<Volume> = {}): Volume {
  return {
    name,
    driver: 'local',
    mountpoint: undefined,
    createdAt: undefined,
    labels: {},
    options: {},
    scope: 'local',
    anonymous: false,
    stack: undefined,
    consumers: [],
    ...fields,
  };
}

const volumes = [
  volume('a', { stack: 'shop' }),
  volume('b', { labels: { 'holdfast.backup': 'false' } }),
  volume('c'),
  volume('d', { stack: 'blog' }),
];

test('chooseVolumes() takes all of them, and names those that their label keeps out', () => {
  const chosen = chooseVolumes(volumes, { all: true, stacks: [] });
  expect(chosen.volumes.map(({ name }) => name)).toEqual(['a', 'c', 'd']);
  expect(chosen.skipped).toEqual([{ name: 'b', reason: expect.stringContaining('holdfast.backup=false') }]);
});

test('chooseVolumes() takes a stack, and says which one may have been meant', () => {
  expect(chooseVolumes(volumes, { all: false, stacks: ['shop'] }).volumes.map(({ name }) => name)).toEqual([
    'a',
  ]);
  expect(() => chooseVolumes(volumes, { all: false, stacks: ['shpo'] })).toThrow(
    expect.objectContaining({ code: 'not-found', hint: expect.stringContaining('"shop"') }),
  );
});

test('chooseVolumes() leaves out what is in memory only', () => {
  const memory = volume('m', { options: { type: 'tmpfs', device: 'tmpfs' } });
  expect(chooseVolumes([memory], { all: true, stacks: [] })).toEqual({
    volumes: [],
    skipped: [{ name: 'm', reason: 'it is in memory only' }],
  });
});
