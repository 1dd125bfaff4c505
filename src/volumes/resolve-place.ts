import { type BigIntStats, lstatSync, readlinkSync } from 'node:fs';
import { DirectoryHandle } from '../lib/directory-handle.ts';
import { reasonText } from '../lib/tree-problem.ts';
import { type ByteString, toPath, toPrintable } from '../model/byte-string.ts';
import { AppError, errnoOf } from '../model/errors.ts';
import { quote } from '../model/quote.ts';

export interface ResolveOptions {
  /** For messages. */
  readonly volume: string;
  /** Follow a symbolic link in the last part too. */
  readonly followLast: boolean;
}

/** An entry of a directory, or the place for one. */
export interface ResolvedPlace extends Disposable {
  readonly parent: DirectoryHandle;
  /** '.' for the root, and for the target of a link to `..`. */
  readonly name: ByteString;
  /** From the root, where links led. */
  readonly path: ByteString;
  /** Undefined when nothing has that name; its parent exists. */
  readonly stat: BigIntStats | undefined;
}

const maxLinks = 40;

/**
 * Finds a path below a root. Follows relative symbolic links as long as they stay below it; one that leads
 * out, or is absolute (the container has another root than we do), is `denied`. Safe against changes of the
 * tree meanwhile. Throws `not-found` when a part on the way is missing, `usage` when it is no directory.
 */
export function resolvePlace(root: ByteString, path: ByteString, options: ResolveOptions): ResolvedPlace {
  const way = new Way(root, path, options);
  try {
    return way.go();
  } catch (error) {
    way[Symbol.dispose]();
    const errno = errnoOf(error);
    if (errno === undefined) throw error;
    const code =
      errno === 'ENOENT' ? 'not-found' : errno === 'EACCES' || errno === 'EPERM' ? 'denied' : 'failed';
    throw new AppError(code, `${way.cannot}: ${reasonText(errno)}`, { cause: error });
  }
}

class Way implements Disposable {
  readonly cannot: string;
  readonly #options: ResolveOptions;
  readonly #root: DirectoryHandle;
  readonly #handles: DirectoryHandle[] = [];
  readonly #names: ByteString[] = [];
  readonly #queue: ByteString[];
  #links = 0;

  constructor(root: ByteString, path: ByteString, options: ResolveOptions) {
    this.#options = options;
    this.cannot = `Cannot use ${quote(toPrintable(path))} in volume ${quote(options.volume)}`;
    this.#queue = partsOf(path);
    this.#root = DirectoryHandle.open(root);
  }

  [Symbol.dispose](): void {
    for (const handle of this.#handles.splice(0)) handle[Symbol.dispose]();
    this.#root[Symbol.dispose]();
  }

  go(): ResolvedPlace {
    for (;;) {
      const part = this.#queue.shift();
      if (part === undefined) return this.#found('.', this.#top().stat());
      if (part === '..') {
        this.#goUp();
        continue;
      }
      const stat = lstatSync(toPath(this.#top().at(part)), { bigint: true, throwIfNoEntry: false });
      const isLast = this.#queue.length === 0;
      if (stat?.isSymbolicLink() === true && (!isLast || this.#options.followLast)) this.#follow(part);
      else if (isLast) return this.#found(part, stat);
      else this.#goInto(part, stat);
    }
  }

  #found(name: ByteString, stat: BigIntStats | undefined): ResolvedPlace {
    const path = name === '.' ? this.#names.join('/') : [...this.#names, name].join('/');
    return { parent: this.#top(), name, path, stat, [Symbol.dispose]: () => this[Symbol.dispose]() };
  }

  #goInto(part: ByteString, stat: BigIntStats | undefined): void {
    const shown = quote(toPrintable([...this.#names, part].join('/')));
    if (stat === undefined) throw new AppError('not-found', `${this.cannot}: ${shown} does not exist`);
    if (!stat.isDirectory()) throw new AppError('usage', `${this.cannot}: ${shown} is not a directory`);
    this.#handles.push(this.#top().openChild(part));
    this.#names.push(part);
  }

  #goUp(): void {
    if (this.#names.pop() === undefined) throw this.#leaves('..');
    this.#handles.pop()?.[Symbol.dispose]();
  }

  #follow(part: ByteString): void {
    const target = readlinkSync(toPath(this.#top().at(part)), { encoding: 'latin1' });
    if (target.startsWith('/')) throw this.#leaves(part);
    if (++this.#links > maxLinks) throw new AppError('usage', `${this.cannot}: too many symbolic links`);
    this.#queue.unshift(...partsOf(target));
  }

  #leaves(part: ByteString): AppError {
    const shown = quote(toPrintable([...this.#names, part].join('/')));
    return new AppError(
      'denied',
      `${this.cannot}: ${part === '..' ? 'it' : `the symbolic link ${shown}`} leads out of the volume`,
    );
  }

  #top(): DirectoryHandle {
    return this.#handles.at(-1) ?? this.#root;
  }
}

function partsOf(path: ByteString): ByteString[] {
  return path.split('/').filter((part) => part !== '' && part !== '.');
}
