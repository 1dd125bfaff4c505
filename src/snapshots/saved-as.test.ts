import { expect, test } from 'vitest';
import { findSavedAs, isSavedAs } from './saved-as.ts';
import { someSnapshot } from '../../test/fixtures/some-snapshot.ts';

const time = '2026-01-01T00:00:00Z';
const same = someSnapshot({ id: 'a', time });
const tagged = someSnapshot({ id: 'b', time, original: 'a' });
const repaired = someSnapshot({ id: 'c', time, original: 'a', problemCount: 1 });
const other = someSnapshot({ id: 'd', time, original: 'e' });

test('a snapshot is found by the id that it was saved under, a complete one before one that lacks something', () => {
  expect(findSavedAs('a', [tagged, same, other])).toBe(same);
  expect(findSavedAs('a', [tagged, repaired, other])).toBe(tagged);
  expect(findSavedAs('a', [repaired, other])).toBe(repaired);
  expect(findSavedAs('a', [other])).toBeUndefined();
});

test('every snapshot that was saved under an id counts', () => {
  const all = [same, tagged, repaired, other];
  expect(all.filter((one) => isSavedAs(one, new Set(['a'])))).toEqual([same, tagged, repaired]);
});
