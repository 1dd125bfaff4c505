import {
  appendFileSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';

/** The bytes of everything but directories, each file once, as plainly as can be; undefined when there is no such tree. */
export function walkedBytes(root: string): number | undefined {
  if (!existsSync(root)) return undefined;
  const seen = new Set<number>();
  let bytes = 0;
  const walk = (folder: Buffer): void => {
    for (const name of readdirSync(folder, { encoding: 'buffer' })) {
      const path = Buffer.concat([folder, Buffer.from('/'), name]);
      const found = lstatSync(path);
      if (found.isDirectory()) walk(path);
      else if (!seen.has(found.ino)) bytes += found.size;
      seen.add(found.ino);
    }
  };
  walk(Buffer.from(root));
  return bytes;
}

/** Long ago, as most files were written. */
export function setOld(path: string): void {
  const hourAgo = Date.now() / 1000 - 3600;
  utimesSync(path, hourAgo, hourAgo);
}

export function writeOld(path: string, bytes: number): void {
  writeFileSync(path, Buffer.alloc(bytes));
  setOld(path);
}

export function appendOld(path: string, bytes: number): void {
  appendFileSync(path, Buffer.alloc(bytes));
  setOld(path);
}

/** Changes a tree in every way that there is, also to and from what lies beside it. The same for the same seed. */
export class RandomTree {
  readonly #root: string;
  readonly #outside: string;
  #state: number;

  constructor(places: { readonly root: string; readonly outside: string }, seed: number) {
    this.#root = places.root;
    this.#outside = places.outside;
    this.#state = seed;
  }

  /** From 0 to 1. */
  random(): number {
    this.#state = (Math.imul(this.#state, 1_664_525) + 1_013_904_223) >>> 0;
    return this.#state / 2 ** 32;
  }

  /** One change; one that is impossible is none. */
  change(): void {
    const [one, other] = [this.#place(), this.#place()];
    const bytes = Math.floor(this.random() ** 4 * 100_000);
    const changes: readonly (() => void)[] = [
      () => writeOld(one, bytes),
      () => writeFileSync(one, Buffer.alloc(bytes)),
      () => appendOld(one, 7),
      () => appendFileSync(one, 'young'),
      () => truncateSync(one, Math.floor(bytes / 100)),
      () => mkdirSync(one, { recursive: true }),
      () => mkdirSync(join(one, 'deep/er'), { recursive: true }),
      () => rmSync(one),
      () => rmSync(one, { recursive: this.random() < 0.2 }),
      () => renameSync(one, other),
      () => renameSync(one, other),
      () => linkSync(one, other),
      () => symlinkSync(other, one),
    ];
    try {
      changes[Math.floor(this.random() * changes.length)]?.();
    } catch (error) {
      if (!(error instanceof Error && 'code' in error)) throw error;
    }
  }

  /** Mostly something that is there, seldom outside. */
  #place(): string {
    let path = this.random() < 0.1 ? this.#outside : this.#root;
    for (let depth = 0; depth < 5; depth++) {
      const names = namesIn(path);
      const name = names[Math.floor(this.random() * names.length)];
      if (name === undefined || this.random() < 0.2) return join(path, `n${Math.floor(this.random() * 12)}`);
      path = join(path, name);
      if (this.random() < 0.2) return path;
    }
    return path === this.#root ? join(path, 'n0') : join(dirname(path), 'n1');
  }
}

function namesIn(path: string): string[] {
  try {
    return lstatSync(path).isDirectory() ? readdirSync(path).toSorted() : [];
  } catch {
    return [];
  }
}
