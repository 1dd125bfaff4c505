import {
  closeSync,
  linkSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import type { Dice } from '../../test/faults/seeded.ts';

/** Does to a tree one of all the things that programs do. */
export function changeSomething(root: string, random: Dice): void {
  const all = readdirSync(root, { recursive: true, encoding: 'utf8' }).map((name) => join(root, name));
  const kindOf = (path: string): 'file' | 'dir' | 'other' => {
    const stat = lstatSync(path);
    return stat.isFile() ? 'file' : stat.isDirectory() ? 'dir' : 'other';
  };
  const directories = [root, ...all.filter((path) => kindOf(path) === 'dir')];
  const files = all.filter((path) => kindOf(path) === 'file');
  const fresh = (): string => join(random.pick(directories), `n${random.between(0, 40)}`);
  const changes: Record<string, () => void> = {
    writeNew() {
      const path = fresh();
      rmSync(path, { recursive: true, force: true });
      writeFileSync(path, random.bytes(random.pick([0, 10, 5000, 1_100_000, 1_500_000])));
    },
    writePages() {
      const path = random.pick(files);
      const { size } = lstatSync(path);
      const fd = openSync(path, 'r+');
      writeSync(fd, random.bytes(4096), 0, 4096, random.between(0, size + 1));
      closeSync(fd);
    },
    cut: () => truncateSync(random.pick(files), random.between(0, 2_000_000)),
    link() {
      const path = fresh();
      rmSync(path, { recursive: true, force: true });
      if (files.some((file) => !file.startsWith(`${path}/`) && file !== path))
        linkSync(random.pick(files.filter((file) => !file.startsWith(`${path}/`) && file !== path)), path);
    },
    symlink() {
      const path = fresh();
      rmSync(path, { recursive: true, force: true });
      symlinkSync(`to ${random.between(0, 9)}`, path);
    },
    makeDirectory() {
      const path = fresh();
      rmSync(path, { recursive: true, force: true });
      mkdirSync(path);
    },
    remove: () => rmSync(random.pick(all), { recursive: true, force: true }),
    move() {
      const [one, path] = [random.pick(all), fresh()];
      if (path === one || path.startsWith(`${one}/`) || one.startsWith(`${path}/`)) return;
      rmSync(path, { recursive: true, force: true });
      renameSync(one, path);
    },
    setBack: () => lutimesSync(random.pick(all), 5, random.between(0, 9)),
  };
  if (all.length === 0 || files.length === 0) changes['writeNew']?.();
  else changes[random.pick(Object.keys(changes))]?.();
}
