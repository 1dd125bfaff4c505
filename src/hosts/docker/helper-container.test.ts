import { readFileSync, readlinkSync } from 'node:fs';
import { expect, test } from 'vitest';
import { isStale, type OwnerProcess } from './helper-container.ts';

const self: OwnerProcess = {
  machine: 'here',
  boot: readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim(),
  pidNamespace: readlinkSync('/proc/self/ns/pid'),
  pid: process.pid,
  startTicks: readFileSync('/proc/self/stat', 'latin1').split(') ').at(-1)?.split(' ')[19] ?? '',
};
const now = Date.now() / 1000;
const monthAgo = now - 30 * 24 * 3600;
const judge = (owner: Partial<OwnerProcess> | string, createdSeconds = now): boolean =>
  isStale(typeof owner === 'string' ? owner : JSON.stringify({ ...self, ...owner }), {
    self,
    createdSeconds,
  });

test('the helper of a process that runs is not stale, however old', () => {
  expect(judge({}, monthAgo)).toBe(false);
});

test('the helper of a process that ended is stale, also when its number is used again', () => {
  expect(judge({ pid: 2 ** 30 })).toBe(true);
  expect(judge({ startTicks: '1' })).toBe(true);
});

test('a helper whose process cannot be seen from here stays for a week', () => {
  for (const owner of [{ boot: 'another' }, { pidNamespace: 'pid:[1]' }, 'no JSON', '{}', '']) {
    expect(judge(owner)).toBe(false);
    expect(judge(owner, monthAgo)).toBe(true);
  }
});
