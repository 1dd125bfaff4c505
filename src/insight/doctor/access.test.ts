import { describe, expect, test } from 'vitest';
import { aclAttribute, aclIn, describeRights, type Guard, letIn, refusedRights, right } from './access.ts';
import { memoryContainers } from '../../../test/fixtures/containers.ts';
import { lookUpUsers, numbersOf } from './image-users.ts';
import { containerGroupIn, type Credentials, parseIdMap, parseStatus, plannedRunner } from './credentials.ts';

const everyId = parseIdMap('         0          0 4294967295\n');
const all = right.read | right.write | right.enter;

function user(uid: number, more: Partial<Credentials> = {}): Credentials {
  return {
    ...{ uid, gid: uid, groups: [], overrides: false, readsAll: false, uidMap: everyId, gidMap: everyId },
    ...more,
  };
}

function folder(mode: number, more: Partial<Guard> = {}): Guard {
  return { uid: 0, gid: 0, mode, isDirectory: true, acl: undefined, ...more };
}

test('the bits of the owner, the group and the others are taken in this order, and never the better ones', () => {
  expect(refusedRights(user(5), folder(0o077, { uid: 5 }), all)).toBe(7);
  expect(refusedRights(user(5), folder(0o707, { gid: 5 }), all)).toBe(7);
  expect(refusedRights(user(5, { groups: [44] }), folder(0o770, { gid: 44 }), all)).toBe(0);
  expect(refusedRights(user(5), folder(0o775), all)).toBe(right.write);
});

test('root is refused nothing, but in a user namespace what has no number there', () => {
  const root = user(0, { overrides: true, readsAll: true });
  expect(refusedRights(root, folder(0, { uid: 7 }), all)).toBe(0);
  const map = parseIdMap('0 100000 65536');
  const inside = { ...root, uid: 100_000, gid: 100_000, uidMap: map, gidMap: map };
  expect(refusedRights(inside, folder(0o700, { uid: 100_033, gid: 100_033 }), all)).toBe(0);
  expect(refusedRights(inside, folder(0o700, { uid: 1000, gid: 1000 }), all)).toBe(7);
});

test('root without its capabilities is a user like others', () => {
  const status = 'Uid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0\nGroups:\t0 20 \nCapEff:\t0000000000000000\n';
  const bare = { ...parseStatus(status), uidMap: everyId, gidMap: everyId };
  expect(bare).toMatchObject({ uid: 0, groups: [0, 20], overrides: false, readsAll: false });
  expect(refusedRights(bare, folder(0o700, { uid: 7 }), all)).toBe(7);
  expect(parseStatus(status.replace(/CapEff.*/, 'CapEff:\t00000000a80425fb')).overrides).toBe(true);
});

test('an ACL counts with its mask', () => {
  const bytes = [2, 0, 0, 0, ...entry(0x01, 7, -1), ...entry(0x02, 7, 5), ...entry(0x04, 0, -1)];
  const value = Uint8Array.from([...bytes, ...entry(0x10, 4, -1), ...entry(0x20, 0, -1)]);
  const acl = aclIn([{ name: 'system.posix_acl_access', value }]);
  expect(acl).toHaveLength(5);
  expect(refusedRights(user(5), folder(0o740, { acl }), all)).toBe(right.write | right.enter);
  expect(refusedRights(user(6), folder(0o740, { acl }), right.read)).toBe(right.read);
  expect(aclIn([{ name: 'user.other', value }])).toBeUndefined();
});

function entry(tag: number, rights: number, id: number): number[] {
  return [...new Uint8Array(Uint16Array.of(tag, rights).buffer), ...new Uint8Array(Int32Array.of(id).buffer)];
}

test('a container that does not run has the numbers of its configuration, and a name has none', () => {
  expect(plannedRunner({ user: '1000:50' })?.credentials).toMatchObject({ uid: 1000, gid: 50 });
  expect(plannedRunner({ user: '' }, { mapBase: 100_000 })?.credentials).toMatchObject({
    uid: 100_000,
    overrides: true,
  });
  expect(plannedRunner({ user: 'postgres' })).toBeUndefined();
  const numbers = { uid: 999, gid: 998, groups: [44] };
  expect(plannedRunner({ user: 'postgres' }, { numbers })?.credentials).toMatchObject(numbers);
});

test('the user of an image is resolved as an engine does it', () => {
  const passwd = 'root:x:0:0::/:\napp:x:1000:1001::/:\n';
  const group = 'video:x:44:app,other\nstaff:x:50:\n';
  expect(numbersOf('app', passwd, group)).toEqual({ uid: 1000, gid: 1001, groups: [44] });
  expect(numbersOf('1000', passwd, group)).toEqual({ uid: 1000, gid: 1001, groups: [44] });
  expect(numbersOf('app:staff', passwd, group)).toEqual({ uid: 1000, gid: 50, groups: [] });
  expect(numbersOf('7', passwd, group)).toEqual({ uid: 7, gid: 0, groups: [] });
  expect(numbersOf('nobody', passwd, group)).toBeUndefined();
  expect(numbersOf('app:nothing', passwd, group)).toBeUndefined();
});

test('rights are told in words', () => {
  expect(describeRights(all, true)).toBe('enter and list and write to');
  expect(describeRights(right.read, false)).toBe('read');
});

test('a control group that another user has named like a container is not the group of that container', () => {
  const id = '0123456789abcdef'.repeat(4);
  const own = `0::/system.slice/docker-${id}`;
  expect(containerGroupIn(`${own}.scope\n`)).toBe(own);
  expect(containerGroupIn(`12:pids:/docker/${id}\n${own}.scope/init.scope\n`)).toBe(own);
  expect(containerGroupIn(`2:pids:/docker/${id}/below\n0::/\n`)).toBe(`2:pids:/docker/${id}`);
  const users = '0::/user.slice/user-1000.slice/user@1000.service';
  expect(containerGroupIn(`${users}/docker-${id}.scope\n`)).not.toBe(own);
  expect(containerGroupIn(`2:pids:/docker/${id}\n0::/\n`)).toBe(`2:pids:/docker/${id}`);
  expect(containerGroupIn(`1:name=systemd:/docker/${id}\n0::/docker/${id}\n`)).toBe(`0::/docker/${id}`);
  expect(containerGroupIn('0::/init.scope\n')).toBeUndefined();
});

test('an engine that hangs for many containers is asked for their users for a bounded time in all', async () => {
  const engine = memoryContainers();
  const stopped = Array.from({ length: 20 }, (_, index) =>
    engine.add({ name: `c${index}`, pid: undefined, user: 'app' }),
  );
  let asked = 0;
  engine.readFile = async (_id, _path, { signal } = {}) => {
    asked++;
    const { promise, reject } = Promise.withResolvers<never>();
    signal?.addEventListener('abort', () => reject(new Error('aborted')));
    return await promise;
  };
  const patience = { eachMs: 100, allMs: 350 };
  expect(await lookUpUsers(engine, stopped, undefined, patience)).toEqual(new Map());
  expect(asked).toBeLessThan(6);
});

describe('a user who is let in by an ACL', () => {
  const guest = user(1000);
  const letInto = (guard: Guard, wanted: number): Guard => ({ ...guard, acl: letIn(guest, guard, wanted) });

  test('gets the rights where there was no ACL, and no other user does', () => {
    const before: Guard = { uid: 2000, gid: 2000, mode: 0o740, isDirectory: true, acl: undefined };
    const after = letInto(before, 7);
    expect(refusedRights(guest, after, 7)).toBe(0);
    expect(refusedRights(user(3000, { gid: 2000 }), after, 7)).toBe(
      refusedRights(user(3000, { gid: 2000 }), before, 7),
    );
    expect(refusedRights(user(3000), after, 7)).toBe(7);
  });

  test('gets past a mask, which goes on to cut all others', () => {
    const entries = [
      { tag: 'owner', id: -1, rights: 7 },
      { tag: 'user', id: 1000, rights: 7 },
      { tag: 'user', id: 3000, rights: 7 },
      { tag: 'group-owner', id: -1, rights: 6 },
      { tag: 'group', id: 4000, rights: 7 },
      { tag: 'mask', id: -1, rights: 4 },
      { tag: 'other', id: -1, rights: 0 },
    ] as const;
    const before: Guard = { uid: 2000, gid: 2000, mode: 0o740, isDirectory: true, acl: entries };
    const after = letInto(before, 6);
    expect(refusedRights(guest, after, 7)).toBe(right.enter);
    for (const other of [user(3000), user(5000, { gid: 2000 }), user(5000, { gid: 4000 }), user(5000)])
      expect(refusedRights(other, after, 7)).toBe(refusedRights(other, before, 7));
  });

  test('is in the attribute that the kernel keeps, in its order', () => {
    const acl = letIn(guest, { uid: 1, gid: 1, mode: 0o640, isDirectory: false, acl: undefined }, 6);
    const kept = aclIn([aclAttribute(acl)]) ?? [];
    expect(kept.map(({ tag, rights }) => `${tag} ${rights}`)).toEqual([
      ...['owner 6', 'user 6', 'group-owner 4', 'mask 6', 'other 0'],
    ]);
    expect(kept[1]?.id).toBe(1000);
  });
});
