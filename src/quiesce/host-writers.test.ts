import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { findHostWriters, type HostWriter } from './host-writers.ts';

let folder: string;
beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), 'writers-'))));
afterEach(() => rmSync(folder, { recursive: true }));

async function writersIn(root: string): Promise<HostWriter[]> {
  const [found = []] = await findHostWriters([{ root, containerIds: [] }]);
  return found;
}

async function whileOpen(redirect: string, check: (pid: number) => Promise<void>): Promise<void> {
  const file = join(folder, 'file');
  writeFileSync(file, '');
  const child = spawn('sh', ['-c', `exec ${redirect}"$0"; echo open; exec sleep 100`, file], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  await once(child.stdout, 'data');
  try {
    await check(child.pid ?? 0);
  } finally {
    child.kill();
    await once(child, 'exit');
  }
}

test('finds a process that has a file open for writing', async () => {
  await whileOpen('3>>', async (pid) => {
    const found = await writersIn(folder);
    expect(found).toMatchObject([{ pid, path: join(folder, 'file') }]);
  });
});

test('leaves out processes that only read, or write elsewhere', async () => {
  await whileOpen('3<', async () => {
    expect(await writersIn(folder)).toEqual([]);
  });
  await whileOpen('3>>', async () => {
    expect(await writersIn(`${folder}x`)).toEqual([]);
  });
});

/** Processes as the kernel shows them. */
function makeProcess(
  pid: number,
  facts: { maps?: string; cgroup?: string; open?: string; flags?: string },
): void {
  const proc = join(folder, 'proc', String(pid));
  for (const name of ['fd', 'fdinfo']) mkdirSync(join(proc, name), { recursive: true });
  writeFileSync(join(proc, 'maps'), facts.maps ?? '');
  writeFileSync(join(proc, 'cgroup'), facts.cgroup ?? '0::/user.slice\n');
  writeFileSync(join(proc, 'comm'), `worker-${pid}\n`);
  if (facts.open !== undefined) symlinkSync(facts.open, join(proc, 'fd/3'));
  writeFileSync(join(proc, 'fdinfo/3'), `pos:\t0\nflags:\t${facts.flags ?? '0100001'}\nmnt_id:\t1\n`);
}

test('finds a file that is mapped for writing, and not one that is mapped privately or for reading', async () => {
  const at = (access: string, path: string) => `7f00-7f01 ${access} 00000000 08:01 42     ${path}\n`;
  makeProcess(90001, { maps: at('rw-s', '/srv/pg/data.mdb') });
  makeProcess(90002, { maps: at('rw-p', '/srv/pg/lib.so') });
  makeProcess(90003, { maps: at('r--s', '/srv/pg/data.mdb') });
  const [found] = await findHostWriters([{ root: '/srv/pg', containerIds: [] }], {
    procDir: join(folder, 'proc'),
  });
  expect(found).toEqual([{ pid: 90001, name: 'worker-90001', path: '/srv/pg/data.mdb' }]);
});

test('leaves out processes of known containers, however their control groups are named', async () => {
  const id = 'a'.repeat(64);
  const other = 'b'.repeat(64);
  makeProcess(90001, { open: '/srv/pg/x', cgroup: `0::/system.slice/docker-${id}.scope\n` });
  makeProcess(90002, { open: '/srv/pg/x', cgroup: `1:name=systemd:/docker/${id}/init\n` });
  makeProcess(90003, { open: '/srv/pg/x', cgroup: `0::/docker/${other}\n` });
  const [found = []] = await findHostWriters([{ root: '/srv/pg', containerIds: [id] }], {
    procDir: join(folder, 'proc'),
  });
  expect(found.map(({ pid }) => pid)).toEqual([90003]);
});

test('one look finds the writers of each place, of which a process may be known in one and not in another', async () => {
  const id = 'a'.repeat(64);
  makeProcess(90001, {
    open: '/srv/pg/x',
    maps: '7f00-7f01 rw-s 00000000 08:01 42     /srv/web/cache\n',
    cgroup: `0::/docker/${id}\n`,
  });
  makeProcess(90002, { open: '/srv/web/log' });
  for (const pid of [90003, 90004, 90005]) makeProcess(pid, { open: '/srv/web/log' });
  makeProcess(90006, { open: '/srv/pg/y' });
  const found = await findHostWriters(
    [
      { root: '/srv/pg', containerIds: [id] },
      { root: '/srv/web', containerIds: [] },
      { root: '/srv', containerIds: [id] },
      { root: '/srv/none', containerIds: [] },
    ],
    { procDir: join(folder, 'proc') },
  );
  expect(found.map((writers) => writers.map(({ pid, path }) => `${pid} ${path}`))).toEqual([
    ['90006 /srv/pg/y'],
    ['90001 /srv/web/cache', '90002 /srv/web/log', '90003 /srv/web/log'],
    ['90002 /srv/web/log', '90003 /srv/web/log', '90004 /srv/web/log'],
    [],
  ]);
});
