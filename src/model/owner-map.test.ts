import { describe, expect, test } from 'vitest';
import { mapId, parseOwnerMap } from './owner-map.ts';

describe('parseOwnerMap()', () => {
  test('reads single owners, ranges, and users or groups only', () => {
    const { users, groups } = parseOwnerMap(['999:100999', '0:100000:500', 'u:1000:33', 'g:1000:34']);
    expect([999, 0, 499, 500, 1000].map((id) => mapId(users, id))).toEqual([100999, 100000, 100499, 500, 33]);
    expect(mapId(groups, 1000)).toBe(34);
  });

  test('inverts the map', () => {
    const there = parseOwnerMap(['0:100000:65536']);
    const back = parseOwnerMap(['100000:0:65536']);
    for (const id of [0, 999, 65535, 65536, 200000])
      expect(mapId(back.users, mapId(there.users, id))).toBe(id);
  });

  test.each(['', '999', '1:2:0', '1:2:3:4', 'x:1:2', '-1:2', '1.5:2', '4294967294:0:5', '0:4294967295'])(
    'refuses %j',
    (text) => {
      expect(() => parseOwnerMap([text])).toThrow(expect.objectContaining({ code: 'usage' }) as Error);
    },
  );

  test('refuses two places for one owner', () => {
    expect(() => parseOwnerMap(['0:100000:1000', '999:5'])).toThrow(/"999:5" are mapped already/);
    expect(() => parseOwnerMap(['u:0:1', 'g:0:2'])).not.toThrow();
  });
});
