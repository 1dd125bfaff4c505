import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openSqliteCatalog } from '../../src/catalog/sqlite-catalog.ts';
import type { Host } from '../../src/hosts/host.ts';
import { SizeWatch } from '../../src/insight/usage/look.ts';
import { runProgram } from '../../src/lib/run-program.ts';
import { holdfastCommand } from '../support/holdfast-command.ts';

let folder: string;
let mount: string;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'hanging-'));
  mount = join(folder, 'mount');
  for (const name of ['cipher', 'mount', 'good']) mkdirSync(join(folder, name));
  writeFileSync(join(folder, 'good/file'), 'content');
  const password = ['-q', '-extpass', 'echo', '-extpass', 'secret'];
  await runProgram('gocryptfs', ['-init', '-scryptn', '10', ...password, join(folder, 'cipher')]);
  await runProgram('gocryptfs', [...password, join(folder, 'cipher'), mount]);
  writeFileSync(join(mount, 'file'), 'content');
});
afterEach(async () => {
  for (const pid of await daemons()) process.kill(pid, 'SIGCONT');
  // The kernel keeps the file of a loop device for a moment after the unmount.
  await expect.poll(() => canUnmount(mount)).toBe(true);
  rmSync(folder, { recursive: true });
});

/** The programs behind the mount. */
async function daemons(): Promise<number[]> {
  const { stdout } = await runProgram('pgrep', ['-f', `^[^ ]*gocryptfs .*${mount}$`]);
  return stdout.split('\n').filter(Boolean).map(Number);
}

test('storage that does not respond is reported after a while, and other targets are saved', async () => {
  const holdfast = holdfastCommand(join(folder, 'state'));
  await holdfast.run('init');
  const found = await daemons();
  expect(found.length).toBeGreaterThan(0);
  for (const pid of found) process.kill(pid, 'SIGSTOP');
  const result = await holdfast.attempt('backup', mount, join(folder, 'good'));
  expect(result.output).toContain(`Cannot read "${mount}": its storage did not answer within 10 seconds`);
  expect(result.exitCode).toBe(3);
  expect(await holdfast.run('ls', join(folder, 'good'), '-q')).toBe('file\n');
});

test('a local disk that does not answer stops neither the looks at sizes nor what runs beside them', async () => {
  const image = join(folder, 'image');
  const disk = join(folder, 'disk');
  const content = join(folder, 'content');
  for (let index = 0; index < 20; index++) mkdirSync(join(content, `folder-${index}`), { recursive: true });
  mkdirSync(disk);
  writeFileSync(join(content, 'folder-0/rows'), 'seven b');
  await runProgram('mkfs.ext4', ['-q', '-F', '-d', content, image, '16M']);
  copyFileSync(image, join(mount, 'image'));
  await runProgram('mount', ['-o', 'loop', join(mount, 'image'), disk]);
  const host = hostWith({ dead: disk, good: join(folder, 'good') });
  using catalog = openSqliteCatalog(':memory:');
  const { signal } = new AbortController();
  const placed = (): object =>
    Object.fromEntries(
      catalog.usage.listPlaces('h').map(({ name, bytes, problem }) => [name, { bytes, problem }]),
    );
  let beats = 0;
  const beating = setInterval(() => (beats += 1), 100);
  try {
    {
      await using watch = new SizeWatch({ patienceMs: 5000 });
      for (const pid of await daemons()) process.kill(pid, 'SIGSTOP');
      await watch.look({ host, catalog, signal });
      expect(placed()).toMatchObject({
        dead: { bytes: undefined, problem: 'its disk does not answer' },
        good: { bytes: 7, problem: undefined },
      });
      // This thread went on all the while.
      expect(beats).toBeGreaterThan(10);
      const before = performance.now();
      await watch.look({ host, catalog, signal });
      expect(performance.now() - before, 'it is not asked at each look').toBeLessThan(5000);
    }
    for (const pid of await daemons()) process.kill(pid, 'SIGCONT');
    await using watch = new SizeWatch();
    await watch.look({ host, catalog, signal });
    expect(placed()).toMatchObject({ dead: { bytes: 7, problem: undefined } });
  } finally {
    clearInterval(beating);
    for (const pid of await daemons()) process.kill(pid, 'SIGCONT');
    // What was killed ends when its disk answers.
    await expect.poll(() => canUnmount(disk)).toBe(true);
  }
});

async function canUnmount(path: string): Promise<boolean> {
  try {
    await runProgram('umount', [path]);
    return true;
  } catch {
    return false;
  }
}

/** Volumes by their names and folders. */
function hostWith(folders: Readonly<Record<string, string>>): Host {
  const plain = {
    driver: 'local',
    options: {},
    labels: {},
    consumers: [],
    anonymous: false,
    stack: undefined,
  };
  return {
    kind: 'embedded',
    info: async () => ({ identity: 'h', kind: 'embedded', isRemote: false }),
    listVolumes: async () =>
      Object.entries(folders).map(([name, mountpoint]) => ({ ...plain, name, mountpoint })),
  } as unknown as Host;
}
