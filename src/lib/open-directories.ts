import { mkdirSync, unlinkSync } from 'node:fs';
import { type ByteString, toPath, toPrintable } from '../model/byte-string.ts';
import { AppError, errnoOf } from '../model/errors.ts';
import { removeAcls } from './apply-metadata.ts';
import { DirectoryHandle } from './directory-handle.ts';
import { listXattrs } from './posix.ts';

export interface OpenDirectory {
  readonly path: ByteString;
  readonly handle: DirectoryHandle;
  /** Entries created in it inherit its default ACL. */
  readonly inheritsAcl: boolean;
}

export interface EnterOptions {
  readonly create: boolean;
  /** Replaces anything else at the last part by a directory. */
  readonly replaces?: boolean | undefined;
}

/** A restore holds this many in each of up to eleven places, and a process may have only 1,024 files open. */
const maxOpenHandles = 64;

export interface TreeOptions {
  /** New and empty at first: no directory in it has a default ACL before its metadata is set. */
  readonly isStaged: boolean;
  /** The root's own ACLs stay as they are. */
  readonly keepsRoot?: boolean | undefined;
}

/**
 * The directories on the path to the current entry, kept open, so that reaching the next entry nearby costs
 * nothing.
 */
export class OpenDirectories implements Disposable {
  readonly #isStaged: boolean;
  readonly #root: OpenDirectory;
  /** Below the root, each within the previous one. */
  readonly #stack: OpenDirectory[] = [];

  constructor(root: ByteString, { isStaged, keepsRoot }: TreeOptions) {
    this.#isStaged = isStaged;
    const handle = DirectoryHandle.open(root);
    if (isStaged && keepsRoot !== true) removeAcls(handle.at('.'), {});
    this.#root = { path: '', handle, inheritsAcl: !isStaged && hasDefaultAcl(handle) };
  }

  /**
   * The directory at a path below the root, open until another one is requested. Never follows a symbolic
   * link.
   */
  enter(path: ByteString, options: EnterOptions): OpenDirectory {
    let top = this.#unwindTo(path);
    if (top.path === path) return top;
    const rest = path.slice(top.path === '' ? 0 : top.path.length + 1).split('/');
    for (const [index, name] of rest.entries()) {
      const isLast = index === rest.length - 1;
      top = this.#openChild(top, name, { ...options, replaces: isLast && options.replaces === true });
      this.#stack.push(top);
      // Directories far up are closed again: a tree may be deeper than a process may have files open.
      if (this.#stack.length > maxOpenHandles) this.#stack.shift()?.handle[Symbol.dispose]();
    }
    return top;
  }

  /** A separate handle of an existing directory; the caller closes it. */
  resolve(path: ByteString): DirectoryHandle {
    let handle = this.#root.handle.openChild('.');
    for (const name of path === '' ? [] : path.split('/')) {
      using parent = handle;
      handle = openDirectory(parent, name, path);
    }
    return handle;
  }

  /** Closes a directory that is about to be removed, and all below it. */
  forget(path: ByteString): void {
    while (isWithin(this.#stack.at(-1)?.path ?? '', path)) this.#pop();
  }

  [Symbol.dispose](): void {
    while (this.#stack.length > 0) this.#pop();
    this.#root.handle[Symbol.dispose]();
  }

  #unwindTo(path: ByteString): OpenDirectory {
    for (;;) {
      const top = this.#stack.at(-1);
      if (top === undefined) return this.#root;
      if (isWithin(path, top.path)) return top;
      this.#pop();
    }
  }

  #pop(): void {
    this.#stack.pop()?.handle[Symbol.dispose]();
  }

  #openChild(parent: OpenDirectory, name: ByteString, options: EnterOptions): OpenDirectory {
    const path = parent.path === '' ? name : `${parent.path}/${name}`;
    const isNew = options.create && makeDirectory(parent, name, options.replaces === true);
    const handle = openDirectory(parent.handle, name, path);
    if (isNew && parent.inheritsAcl) removeAcls(handle.at('.'), {});
    return { path, handle, inheritsAcl: !isNew && !this.#isStaged && hasDefaultAcl(handle) };
  }
}

/** True when it did not exist. */
function makeDirectory(parent: OpenDirectory, name: ByteString, replaces: boolean): boolean {
  const at = toPath(parent.handle.at(name));
  try {
    mkdirSync(at, 0o755);
    return true;
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw error;
  }
  if (!replaces || isDirectory(parent.handle, name)) return false;
  unlinkSync(at);
  mkdirSync(at, 0o755);
  return true;
}

function isDirectory(parent: DirectoryHandle, name: ByteString): boolean {
  try {
    using _handle = parent.openChild(name);
    return true;
  } catch (error) {
    if (errnoOf(error) === 'ENOTDIR' || errnoOf(error) === 'ELOOP') return false;
    throw error;
  }
}

function openDirectory(parent: DirectoryHandle, name: ByteString, path: ByteString): DirectoryHandle {
  try {
    return parent.openChild(name);
  } catch (error) {
    const errno = errnoOf(error);
    if (errno !== 'ENOTDIR' && errno !== 'ELOOP') throw error;
    const message = `Cannot go into "${toPrintable(path)}": "${toPrintable(name)}" is not a directory, and symbolic links are not followed`;
    throw new AppError('conflict', message, { cause: error });
  }
}

function hasDefaultAcl(handle: DirectoryHandle): boolean {
  return listXattrs(handle.at('.')).some((attribute) => attribute.name === 'system.posix_acl_default');
}

function isWithin(path: ByteString, ancestor: ByteString): boolean {
  if (ancestor === '' || path === ancestor) return true;
  return path.startsWith(ancestor) && path[ancestor.length] === '/';
}
