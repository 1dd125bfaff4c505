import { describe, expect, test } from 'vitest';
import { matchesFilter, parseVolumeFilter } from './filter.ts';
import type { Consumer } from './volume.ts';
import { someVolume } from '../../test/fixtures/some-volume.ts';

const consumer: Consumer = {
  id: 'c1',
  name: 'web',
  image: 'nginx',
  state: 'exited',
  stack: undefined,
  service: undefined,
  path: '/x',
  readOnly: false,
};

// The same volumes and filters as tried with Docker Engine 26.1.
const volumes = [
  someVolume('Xab'),
  someVolume('ab12', { consumers: [consumer] }),
  someVolume('l1', { labels: { a: 'b', c: '' }, driver: 'nfs', stack: 'shop' }),
];

function found(...texts: string[]): string[] {
  const filter = parseVolumeFilter(texts);
  return volumes.filter((candidate) => matchesFilter(candidate, filter)).map(({ name }) => name);
}

test.each([
  [[], ['Xab', 'ab12', 'l1']],
  [['name=ab'], ['Xab', 'ab12']],
  [['name=^ab'], ['ab12']],
  [['name=(?i)XAB'], ['Xab']],
  [['name=('], []],
  [['name='], ['Xab', 'ab12', 'l1']],
  [
    ['name=l1', 'name=Xa'],
    ['Xab', 'l1'],
  ],
  [[' NAME = ab '], ['Xab', 'ab12']],
  [['label=a'], ['l1']],
  [['label=a=b'], ['l1']],
  [['label=a=x'], []],
  [['label=c='], ['l1']],
  [['label=a', 'label=zz'], []],
  [['label=constructor'], []],
  [['label!=a'], ['Xab', 'ab12']],
  [
    ['label!=a', 'label!=zz'],
    ['Xab', 'ab12', 'l1'],
  ],
  [['driver=local'], ['Xab', 'ab12']],
  [['driver=loc'], []],
  [
    ['driver=nfs', 'driver=local'],
    ['Xab', 'ab12', 'l1'],
  ],
  [['dangling=true'], ['Xab', 'l1']],
  [['dangling=0'], ['ab12']],
  [
    ['dangling=1', 'dangling=true'],
    ['Xab', 'l1'],
  ],
  [['stack=shop'], ['l1']],
  [['stack=other'], []],
  [['name=l', 'driver=local'], []],
])('%j finds %j', (texts, names) => {
  expect(found(...texts)).toEqual(names);
});

describe('refuses in Docker’s words', () => {
  test.each([
    [['foo=bar'], "invalid filter 'foo'"],
    [['name'], 'bad format of filter (expected name=value)'],
    [['dangling=x'], "invalid filter 'dangling=[x]'"],
    [['dangling=True'], "invalid filter 'dangling=[True]'"],
    [['dangling=true', 'dangling=false'], "invalid filter 'dangling=[true false]'"],
    [['all=true'], "invalid filter 'all'"],
  ])('%j', (texts, message) => {
    expect(() => parseVolumeFilter(texts)).toThrow(expect.objectContaining({ code: 'usage', message }));
  });

  test('refuses filters that prune does not accept', () => {
    expect(() => parseVolumeFilter(['dangling=true'], 'prune')).toThrow("invalid filter 'dangling'");
    expect(() => parseVolumeFilter(['all=1', 'all=true'], 'prune')).toThrow(
      "invalid filter 'all=[1 true]': only one value is expected",
    );
    expect(parseVolumeFilter(['all=1'], 'prune').all).toBe(true);
    expect(parseVolumeFilter([], 'prune').all).toBe(false);
  });
});
