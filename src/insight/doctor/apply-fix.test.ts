import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { listXattrs, setXattr } from '../../lib/posix.ts';
import { fromText } from '../../model/byte-string.ts';
import { aclAttribute, aclIn, letIn, ownRights } from './access.ts';
import { type AppliedFix, applyFix } from './apply-fix.ts';
import type { Identity } from './diagnosis.ts';

let folder: string;
let data: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'fix-'));
  data = join(folder, 'data');
  mkdirSync(join(data, 'below'), { recursive: true });
});
afterEach(() => rmSync(folder, { recursive: true }));

function identityOf(path: string): Identity {
  const { dev, ino } = lstatSync(path, { bigint: true });
  return { device: dev, inode: ino };
}

const isRoot = process.getuid?.() === 0;
const own = process.getuid?.() ?? 0;
/** Only root can give files away; what is changed is counted all the same. */
const to = isRoot ? 1000 : own;

test('what belongs to one user is given to another, but no target of a link and no file with a further name', async () => {
  const outside = join(folder, 'outside');
  writeFileSync(outside, '');
  writeFileSync(join(data, 'below/file'), '');
  symlinkSync(outside, join(data, 'link'));
  linkSync(outside, join(data, 'second-name'));
  const fix = { kind: 'owner', path: data, identity: identityOf(data), from: own, uid: to, gid: to } as const;
  expect(await applyFix(fix, undefined)).toEqual({ changed: 4, left: 1 });
  expect(statSync(join(data, 'below/file')).uid).toBe(to);
  expect(lstatSync(join(data, 'link')).uid).toBe(to);
  expect(statSync(outside).uid).toBe(own);
});

test('a fix that is cancelled has not changed the folder by which it is found again', async () => {
  writeFileSync(join(data, 'file'), '', { mode: 0o600 });
  const who = { uid: 4242, gid: 4242, groups: [] };
  const place = { path: data, identity: identityOf(data) };
  const fix = { kind: 'acl', ...place, who, rights: 6, isMask: false } as const;
  await expect(applyFix(fix, AbortSignal.abort())).rejects.toMatchObject({ code: 'cancelled' });
  expect(aclIn(listXattrs(fromText(data)))).toBe(undefined);
});

describe('while a fix goes through many files', () => {
  /** Called when it has begun. */
  async function applyMeanwhile(meanwhile: () => void, signal?: AbortSignal): Promise<AppliedFix> {
    for (let number = 0; number < 1000; number++) writeFileSync(join(data, `below/${number}`), '');
    const who = { uid: 4242, gid: 4242, groups: [] };
    const place = { path: data, identity: identityOf(data) };
    const applied = applyFix({ kind: 'acl', ...place, who, rights: 6, isMask: false }, signal);
    const below = fromText(join(data, 'below'));
    const begun = async (): Promise<void> => {
      while (aclIn(listXattrs(below)) === undefined) await setImmediate();
      meanwhile();
    };
    const [outcome] = await Promise.all([applied, begun()]);
    return outcome;
  }

  test('it can be cancelled', async () => {
    const abort = new AbortController();
    const applied = applyMeanwhile(() => abort.abort(), abort.signal);
    await expect(applied).rejects.toMatchObject({ code: 'cancelled' });
  });

  test('files that an application removes are left out', async () => {
    const { changed } = await applyMeanwhile(() => rmSync(join(data, 'below'), { recursive: true }));
    expect(changed).toBeGreaterThan(200);
    expect(changed).toBeLessThan(1000);
    expect(aclIn(listXattrs(fromText(data)))).not.toBe(undefined);
  });
});

test('what was replaced since it was looked at is left as it is', async () => {
  const identity = identityOf(data);
  renameSync(data, `${data}.old`);
  mkdirSync(data, { mode: 0o700 });
  await expect(applyFix({ kind: 'mode', path: data, identity, add: 0o077 }, undefined)).rejects.toMatchObject(
    {
      code: 'conflict',
      message: `"${data}" was replaced since it was looked at`,
    },
  );
  expect(statSync(data).mode & 0o777).toBe(0o700);
  rmSync(data, { recursive: true });
  symlinkSync(`${data}.old`, data);
  await expect(applyFix({ kind: 'mode', path: data, identity, add: 0o077 }, undefined)).rejects.toMatchObject(
    {
      code: 'conflict',
    },
  );
});

test('bits are added to a mode, and none is taken', async () => {
  chmodSync(data, 0o1040);
  await applyFix({ kind: 'mode', path: data, identity: identityOf(data), add: 0o500 }, undefined);
  expect(statSync(data).mode & 0o7777).toBe(0o1540);
});

test('a missing folder is made with those above it', async () => {
  const path = join(folder, 'new/deep');
  expect(await applyFix({ kind: 'folder', path, uid: to, gid: to }, undefined)).toEqual({
    changed: 1,
    left: 0,
  });
  expect(statSync(path)).toMatchObject({ uid: to, gid: to });
});

test('a folder that has come meanwhile, perhaps with a mount, is left as it is', async () => {
  const { uid } = statSync(data);
  const fix = { kind: 'folder', path: data, uid: 4242, gid: 4242 } as const;
  await expect(applyFix(fix, undefined)).rejects.toMatchObject({ code: 'conflict' });
  expect(statSync(data)).toMatchObject({ uid });
});

test('a program that fails is told of with what it says', async () => {
  const fix = { kind: 'program', command: ['ls', join(folder, 'nothing')] } as const;
  await expect(applyFix(fix, undefined)).rejects.toMatchObject({ code: 'failed' });
});

test('a file with a further name keeps its mode', async () => {
  const path = join(data, 'file');
  writeFileSync(path, '', { mode: 0o600 });
  linkSync(path, join(folder, 'second-name'));
  const fix = { kind: 'mode', path, identity: identityOf(path), add: 0o044 } as const;
  expect(await applyFix(fix, undefined)).toEqual({ changed: 0, left: 1 });
  expect(statSync(path).mode & 0o777).toBe(0o600);
});

test.runIf(isRoot)(
  'what belongs to a third user, and what another mount holds, is not given away',
  async () => {
    const [theirs, mount] = [join(data, 'theirs'), join(data, 'below')];
    writeFileSync(theirs, '');
    chownSync(theirs, 77, 77);
    execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', mount]);
    try {
      writeFileSync(join(mount, 'file'), '');
      const fix = {
        kind: 'owner',
        path: data,
        identity: identityOf(data),
        from: 0,
        uid: to,
        gid: to,
      } as const;
      expect(await applyFix(fix, undefined)).toEqual({ changed: 1, left: 0 });
      expect([data, theirs, mount, join(mount, 'file')].map((path) => statSync(path).uid)).toEqual([
        to,
        77,
        0,
        0,
      ]);
    } finally {
      execFileSync('umount', [mount]);
    }
  },
);

test.runIf(isRoot)('a link that another user can change leads a fix nowhere', async () => {
  const theirs = join(folder, 'theirs');
  mkdirSync(theirs);
  symlinkSync(data, join(theirs, 'link'));
  chownSync(theirs, 4242, 4242);
  const below = join(data, 'below');
  const { mode } = statSync(below);
  const fix = {
    kind: 'mode',
    path: join(theirs, 'link/below'),
    identity: identityOf(below),
    add: 0o022,
  } as const;
  await expect(applyFix(fix, undefined)).rejects.toThrow('another user can change');
  expect(statSync(below).mode).toBe(mode);
});

test('a user is let into a tree by its ACLs, but into no target of a link and no file with a further name', async () => {
  const outside = join(folder, 'outside');
  writeFileSync(outside, '', { mode: 0o600 });
  writeFileSync(join(data, 'below/file'), '', { mode: 0o640 });
  symlinkSync(outside, join(data, 'link'));
  writeFileSync(join(folder, 'first-name'), '', { mode: 0o600 });
  linkSync(join(folder, 'first-name'), join(data, 'second-name'));
  const who = { uid: 4242, gid: 4242, groups: [] };
  const place = { path: data, identity: identityOf(data) };
  const fix = { kind: 'acl', ...place, who, rights: 6, isMask: false } as const;
  expect(await applyFix(fix, undefined)).toEqual({ changed: 3, left: 1 });
  const entriesOf = (path: string) =>
    aclIn(listXattrs(fromText(path)))?.filter(({ tag, id }) => tag === 'user' && id === 4242);
  expect(entriesOf(join(data, 'below'))).toMatchObject([{ rights: 7 }]);
  expect(entriesOf(join(data, 'below/file'))).toMatchObject([{ rights: 6 }]);
  for (const path of [outside, join(folder, 'first-name')]) expect(entriesOf(path)).toBe(undefined);
  // What lets the user in already is left as it is.
  expect(await applyFix(fix, undefined)).toEqual({ changed: 0, left: 1 });
});

test.runIf(isRoot)('a user who is let in to read keeps what other processes write by a group', async () => {
  const shared = join(data, 'shared');
  writeFileSync(shared, '');
  chmodSync(shared, 0o660);
  chownSync(shared, 0, 4343);
  const writer = spawn('sleep', ['60'], { uid: 4242, gid: 4343, stdio: 'ignore' });
  const ended = once(writer, 'exit');
  try {
    await once(writer, 'spawn');
    const who = { uid: 4242, gid: 4242, groups: [] };
    const place = { path: shared, identity: identityOf(shared) };
    await applyFix({ kind: 'acl', ...place, who, rights: 4, isMask: false }, undefined);
    const { uid, gid, mode } = statSync(shared);
    const guard = { uid, gid, mode, isDirectory: false, acl: aclIn(listXattrs(fromText(shared))) };
    expect(ownRights({ ...who, gid: 4343 }, guard)).toBe(6);
  } finally {
    writer.kill();
    await ended;
  }
});

test.runIf(isRoot)('a mask is widened below, too, and only where an ACL lets the user in', async () => {
  const [named, closed] = [join(data, 'below/named'), join(data, 'below/closed')];
  for (const path of [named, closed]) writeFileSync(path, '', { mode: 0o600 });
  const who = { uid: 4242, gid: 4242, groups: [] };
  const rightsAt = (path: string) => {
    const stat = statSync(path);
    const acl = aclIn(listXattrs(fromText(path)));
    return ownRights(who, {
      uid: stat.uid,
      gid: stat.gid,
      mode: stat.mode & 0o7777,
      isDirectory: false,
      acl,
    });
  };
  const acl = { uid: 0, gid: 0, mode: 0o600, isDirectory: false, acl: undefined };
  setXattr(fromText(named), aclAttribute(letIn(who, acl, 6)));
  chmodSync(named, 0o640);
  expect(rightsAt(named)).toBe(4);
  const fix = { kind: 'acl', path: data, identity: identityOf(data), who, rights: 6, isMask: true } as const;
  expect(await applyFix(fix, undefined)).toEqual({ changed: 1, left: 0 });
  expect([rightsAt(named), rightsAt(closed)]).toEqual([6, 0]);
});
