import { expect, test } from 'vitest';
import { type EaterSample, type GroupCounters, planEaters } from './disk-eaters.ts';

const hog = 'a'.repeat(64);
const idle = 'b'.repeat(64);
const disk = '8:0';
const mebibyte = 1 << 20;
const containers = [
  { id: hog, name: 'hog' },
  { id: idle, name: 'idle' },
];

function sample(processes: Record<string, number>, groups: Record<string, GroupCounters> = {}): EaterSample {
  return { processes: new Map(Object.entries(processes)), groups: new Map(Object.entries(groups)) };
}

function group(isWhole: boolean, devices: Record<string, number>): GroupCounters {
  return { isWhole, devices: new Map(Object.entries(devices)) };
}

function eaters(before: EaterSample, after: EaterSample, users: readonly string[] = []): string[] {
  const options = {
    seconds: 2,
    disk,
    containers,
    users: new Set(users),
    nameOf: (key: string) => (key === '7' ? 'process 7' : undefined),
  };
  return planEaters(before, after, options).map(
    ({ name, bytesPerSecond, isOfDisk }) => `${name} ${bytesPerSecond / mebibyte} ${isOfDisk}`,
  );
}

test('the eater of a disk is what its control group counts there, and not what it does on other disks', () => {
  const before = sample(
    { [hog]: 0, [idle]: 0 },
    { [hog]: group(true, { [disk]: mebibyte }), [idle]: group(true, {}) },
  );
  const after = sample(
    { [hog]: 0, [idle]: 90 * mebibyte },
    { [hog]: group(true, { [disk]: 9 * mebibyte }), [idle]: group(true, { '8:16': 90 * mebibyte }) },
  );
  expect(eaters(before, after)).toEqual(['"hog" 4 true']);
});

test('where version 1 counts nothing, or less than the processes moved, the processes count', () => {
  const moved = sample({ [hog]: 8 * mebibyte });
  expect(eaters(sample({}), moved)).toEqual(['"hog" 4 false']);
  const without = sample({ [hog]: 8 * mebibyte }, { [hog]: group(false, {}) });
  expect(eaters(sample({}), without)).toEqual(['"hog" 4 false']);
  const less = sample({ [hog]: 8 * mebibyte }, { [hog]: group(false, { [disk]: mebibyte }) });
  expect(eaters(sample({}), less)).toEqual(['"hog" 4 false']);
  const more = sample({ [hog]: mebibyte }, { [hog]: group(false, { [disk]: 4 * mebibyte }) });
  expect(eaters(sample({}), more)).toEqual(['"hog" 2 true']);
});

test('programs of the machine are named, the kernel’s own threads are not, and the most comes first', () => {
  const after = sample({ '7': 2 * mebibyte, '8': 50 * mebibyte, [hog]: 6 * mebibyte, [idle]: 0 });
  expect(eaters(sample({}), after)).toEqual(['"hog" 3 false', 'process 7 1 false']);
});

test('a container that has nothing of the disk is not to blame where another one has', () => {
  const after = sample({ [hog]: 2 * mebibyte, [idle]: 90 * mebibyte, '7': 4 * mebibyte });
  expect(eaters(sample({}), after, [hog])).toEqual(['process 7 2 false', '"hog" 1 false']);
  expect(eaters(sample({}), after)[0]).toBe('"idle" 45 false');
});
