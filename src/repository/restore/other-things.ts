import { linkSync, symlinkSync } from 'node:fs';
import type { OpenDirectories } from '../../lib/open-directories.ts';
import { makeNode, unpackDevice } from '../../lib/posix.ts';
import { type ByteString, toPath, toPrintable } from '../../model/byte-string.ts';
import { errnoOf } from '../../model/errors.ts';
import type { SaveProblem } from '../../model/snapshot.ts';
import type { TreeNode } from '../format/node.ts';
import { applyMetadata, dropInheritedAcls } from './apply-metadata.ts';
import { placeOf } from './restore-target.ts';
import type { Metadata } from './restore-task.ts';

/** Another name of a file that was restored as `first`. */
export interface Link {
  readonly path: ByteString;
  readonly first: ByteString;
  readonly node: TreeNode;
}

export interface OtherThingsOptions {
  /** Where the entries are created. */
  readonly places: OpenDirectories;
  /** The same tree, for the first names of hard links: these may lie far from the later ones. */
  readonly firsts: OpenDirectories;
  readonly metadataOf: (node: TreeNode) => Metadata;
  /** Collects what could not be created. */
  readonly problems: SaveProblem[];
}

/**
 * Creates everything but files and directories: symbolic links, devices, fifos, sockets, and hard links to
 * anything.
 */
export class OtherThings {
  readonly #options: OtherThingsOptions;
  readonly #notMade = new Set<ByteString>();
  /** Number of entries created. */
  count = 0;

  constructor(options: OtherThingsOptions) {
    this.#options = options;
  }

  make(node: TreeNode, path: ByteString): void {
    const { type } = node;
    if (type === 'file' || type === 'dir') return;
    if (type === 'irregular') return this.#leaveOut(path, 'is of a kind that cannot be restored');
    const at = this.#at(path);
    if (type === 'symlink') symlinkSync(toPath(node.linkTarget ?? ''), toPath(at));
    else if (!this.#makeNode({ path, at }, node, type)) return;
    const { metadataOf, problems } = this.#options;
    applyMetadata({ path, at, isSymlink: type === 'symlink' }, metadataOf(node), problems);
    this.count++;
  }

  #at(path: ByteString, places = this.#options.places): ByteString {
    const { folder, name } = placeOf(places, path);
    return folder.at(name);
  }

  #makeNode(
    { path, at }: { readonly path: ByteString; readonly at: ByteString },
    node: TreeNode,
    type: 'fifo' | 'socket' | 'chardev' | 'blockdev',
  ): boolean {
    const { major, minor } = unpackDevice(node.device);
    try {
      makeNode(at, { type, mode: node.mode, deviceMajor: major, deviceMinor: minor });
      return true;
    } catch (error) {
      if (errnoOf(error) !== 'EPERM') throw error;
      this.#leaveOut(path, 'is a device, which only root may make');
      return false;
    }
  }

  #leaveOut(path: ByteString, message: string): void {
    this.#notMade.add(path);
    this.#options.problems.push({ path, reason: 'unreadable', message });
  }

  /** False when its first name could not be created. */
  link({ path, first }: Link): boolean {
    if (this.#notMade.has(first)) {
      this.#leaveOut(path, `is the same as "${toPrintable(first)}"`);
      return false;
    }
    linkSync(toPath(this.#at(first, this.#options.firsts)), toPath(this.#at(path)));
    return true;
  }

  /** A single file is created in a directory that is not ours, and inherits its default ACL. */
  dropInherited(node: TreeNode, path: ByteString): void {
    if (node.type === 'symlink' || this.#notMade.has(path)) return;
    const isOwn = node.xattrs.some(({ name }) => name === 'system.posix_acl_access');
    const at = this.#at(path);
    if (isOwn || !dropInheritedAcls(at)) return;
    // Without the ACL, the group bits mean the group again instead of the ACL's mask.
    const { metadataOf, problems } = this.#options;
    applyMetadata({ path, at, isSymlink: false }, metadataOf(node), problems);
  }
}
