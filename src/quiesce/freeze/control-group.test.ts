import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { findControlGroup, groupOfContainer, groupState, thaw } from './control-group.ts';

const id = 'ab12'.repeat(16);

describe('groupOfContainer()', () => {
  test.each([
    [`0::/docker/${id}\n`, `/docker/${id}`],
    [`0::/system.slice/docker-${id}.scope\n`, `/system.slice/docker-${id}.scope`],
    [`0::/system.slice/docker-${id}.scope/init.scope\n`, `/system.slice/docker-${id}.scope`],
    [`0::/machine.slice/libpod-${id}.scope/container\n`, `/machine.slice/libpod-${id}.scope`],
    [`1:cpu:/\n0::/docker/${id}\n`, `/docker/${id}`],
  ])('gives the group that is the container’s own: %j', (text, group) => {
    expect(groupOfContainer(text, id)).toBe(group);
  });

  test.each([
    ['0::/system.slice/ssh.service\n'],
    // Another process that has its number here.
    [`0::/docker/${'cd34'.repeat(16)}\n`],
    // Version 1, alone or as well.
    [`6:freezer:/docker/${id}\n0::/\n`],
    [`6:freezer:/docker/${id}\n0::/docker/${id}\n`],
    // Seen from within another control group namespace.
    [`0::/../${id}\n`],
    [''],
  ])('gives none for %j', (text) => {
    expect(groupOfContainer(text, id)).toBeUndefined();
  });
});

describe('findControlGroup()', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'control-group-'));
    for (const process of ['7', 'self']) mkdirSync(join(folder, 'proc', process), { recursive: true });
    mkdirSync(join(folder, 'groups/docker', id), { recursive: true });
    writeFileSync(join(folder, 'groups/docker', id, 'cgroup.freeze'), '0\n');
    tell('7/cgroup', `0::/docker/${id}/below\n`);
    tell('self/cgroup', '0::/user.slice\n');
    tell('self/mountinfo', `30 1 0:26 / ${join(folder, 'groups')} rw - cgroup2 none rw\n`);
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  const tell = (file: string, text: string): void => writeFileSync(join(folder, 'proc', file), text);
  const find = (pid = 7, of = id) => findControlGroup({ pid, id: of }, { procDir: join(folder, 'proc') });

  test('returns its folder where the groups of version 2 are mounted', () => {
    expect(find()).toBe(join(folder, 'groups/docker', id));
    tell(
      'self/mountinfo',
      `29 1 0:25 / /sys/fs/cgroup rw - tmpfs none rw\n30 1 0:26 / ${join(folder, 'groups')} rw - cgroup2 none rw\n`,
    );
    expect(find()).toBe(join(folder, 'groups/docker', id));
  });

  test('returns none for a process that is missing, is not the container, or has no such group', () => {
    expect(find(8)).toBeUndefined();
    expect(find(7, 'cd34'.repeat(16))).toBeUndefined();
    expect(find(7, 'ab')).toBeUndefined();
  });

  test('returns none where they are not mounted, or only in part', () => {
    tell('self/mountinfo', `30 1 0:26 /docker ${join(folder, 'groups')} rw - cgroup2 none rw\n`);
    expect(find()).toBeUndefined();
    tell('self/mountinfo', '');
    expect(find()).toBeUndefined();
  });

  test('returns none that this process is in itself', () => {
    tell('self/cgroup', `0::/docker/${id}/below\n`);
    expect(find()).toBeUndefined();
  });

  test('returns none that may not be frozen', () => {
    rmSync(join(folder, 'groups/docker', id, 'cgroup.freeze'));
    expect(find()).toBeUndefined();
  });
});

test('a group that is gone is no error', () => {
  const gone = join(tmpdir(), 'no-such-group');
  expect(thaw(gone)).toBe(false);
  expect(groupState(gone)).toBe('gone');
});
