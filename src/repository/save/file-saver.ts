import { awaitedLater } from '../../lib/awaited-later.ts';
import type { FileStat } from '../../lib/posix-at.ts';
import type { UserNames } from '../../lib/user-names.ts';
import type { ByteString } from '../../model/byte-string.ts';
import { encodeNode, type NodeText } from '../format/node.ts';
import type { EarlyClones } from './early-clones.ts';
import type { FileBatch } from './file-batch.ts';
import { type LargeFile, saveLargeFile } from './large-file.ts';
import { nodeOfStat } from './node-of-stat.ts';
import type { KnownTrees } from './parent-trees.ts';
import type { ProofBook } from './piece-proof.ts';
import { childPath, changeOf, type Place, type Slot } from './place.ts';
import { reusableNode } from './reusable-node.ts';
import type { SaveScheduler } from './save-scheduler.ts';
import type { FileChange } from './file-changes.ts';
import type { SaveTally } from './save-tally.ts';
import { wholeFileBytes } from './save-task.ts';
import { StillClones } from './still-clones.ts';

export interface FileSaverOptions {
  readonly scheduler: SaveScheduler;
  readonly tally: SaveTally;
  readonly parents: KnownTrees | undefined;
  readonly names: UserNames;
  /** Counts files that may have changed by their sizes instead of reading them. */
  readonly onlyLooks?: boolean | undefined;
  /** Proofs of large files, from the previous pass and for the next one. */
  readonly proofs?: ProofBook | undefined;
  /**
   * Clones large files at once, and reads them when `released` resolves. Files that cannot be cloned are read
   * at once.
   */
  readonly clones?: { readonly released: Promise<void>; readonly early?: EarlyClones } | undefined;
}

/** Reading less than this takes no longer than creating a file for the clone. */
const clonedFromBytes = 256 * 1024;

/** Saves the files of a walk: by reuse, in batches, piece by piece, or from clones. The workers read them. */
export class FileSaver implements Disposable {
  readonly #options: FileSaverOptions;
  /** Reads of the files themselves, not of clones. */
  readonly #direct: Promise<unknown>[] = [];
  readonly #clones: StillClones;

  constructor(options: FileSaverOptions) {
    this.#options = options;
    this.#clones = new StillClones(options.clones?.early);
  }

  /** Reuses the node of an unchanged file. False when the file must be read. */
  reuse(place: Place, name: ByteString, stat: FileStat, slots: Slot[]): boolean {
    const { parents, names, tally } = this.#options;
    if (!place.parent || !parents?.trusts(stat.ctimeNs)) return false;
    const node = reusableNode(place.parent, nodeOfStat({ name, stat, names }), parents);
    if (node === undefined) return false;
    slots.push(node);
    tally.countFile('unmodified', Number(stat.size), childPath(place, name));
    return true;
  }

  async save(
    place: Place,
    file: {
      readonly name: ByteString;
      readonly stat: FileStat;
      readonly slots: Slot[];
      readonly batch: FileBatch;
    },
  ): Promise<void> {
    const { name, stat, slots, batch } = file;
    if (this.#options.onlyLooks === true)
      return this.#options.tally.countFile(changeOf(place, name), Number(stat.size), childPath(place, name));
    if (this.#options.clones && stat.size >= clonedFromBytes) {
      const slot = this.#saveClone(place, name);
      if (slot !== undefined) return void slots.push(slot);
    }
    if (stat.size > wholeFileBytes) {
      await this.#options.scheduler.room();
      slots.push(this.#saveLarge(place, name));
      return;
    }
    // These prove what the previous pass saved, which is outdated from now on.
    this.#options.proofs?.delete(childPath(place, name));
    batch.add(name, Number(stat.size), slots.push(undefined) - 1);
    if (batch.isFull) await this.send(place, batch, slots);
  }

  /** Sends a collected batch. */
  async send(place: Place, batch: FileBatch, slots: Slot[]): Promise<void> {
    const { scheduler, tally } = this.#options;
    const { names, slotNumbers } = batch.take();
    await scheduler.room();
    const outcomes = scheduler.run({ kind: 'files', directory: place.handle.fd, names });
    this.#readsDirectly(outcomes);
    names.forEach((name, i) => {
      const slot = outcomes.then(({ files }) => {
        const outcome = files[i];
        if (!outcome || outcome.tooLarge) return this.#saveLarge(place, name);
        tally.noteRead();
        if (outcome.problem) tally.problems.push({ ...outcome.problem, path: childPath(place, name) });
        tally.notKept.add(outcome.flags ?? 0, childPath(place, name));
        if (outcome.node !== undefined)
          tally.countFile(changeOfRead(place, name, outcome.node), outcome.size, childPath(place, name));
        return outcome.node;
      });
      awaitedLater(slot);
      slots[slotNumbers[i] ?? 0] = slot;
    });
  }

  /** Returns when the data may change again: the rest is read from clones in the folder. */
  async letGo(folder: ByteString, done: Promise<unknown>): Promise<void> {
    const { tally } = this.#options;
    const cloned = await this.#clones.cloneAll(folder, () => tally.noteRead());
    if (cloned === 0) await Promise.allSettled([done]);
    // A file that has grown too large for its batch is read after it.
    for (let read = -1; read < this.#direct.length;) {
      read = this.#direct.length;
      await Promise.allSettled(this.#direct);
    }
  }

  /** For a walk that was not finished. */
  [Symbol.dispose](): void {
    this.#clones[Symbol.dispose]();
  }

  #saveLarge(place: Place, name: ByteString): Promise<NodeText | undefined> {
    const slot = saveLargeFile(this.#largeFile(place, name)).finally(() => this.#options.tally.noteRead());
    awaitedLater(slot);
    this.#readsDirectly(slot);
    return slot;
  }

  #largeFile(place: Place, name: ByteString): LargeFile {
    const { scheduler, tally, names } = this.#options;
    const path = childPath(place, name);
    const { proofs } = this.#options;
    return {
      scheduler,
      tally,
      names,
      change: changeOf(place, name),
      name,
      full: place.handle.at(name),
      path,
      proofs,
      knownContent: () => place.parent?.contentOf(name),
    };
  }

  /** Undefined when the file itself has to be read. */
  #saveClone(place: Place, name: ByteString): Promise<NodeText | undefined> | undefined {
    const { clones } = this.#options;
    const opened = clones && this.#clones.open(place.handle.at(name));
    const slot = opened?.then(async (clone) => {
      if (clone === undefined) return await this.#saveLarge(place, name);
      try {
        await clones?.released;
      } catch (error) {
        clone[Symbol.dispose]();
        throw error;
      }
      return await saveLargeFile({ ...this.#largeFile(place, name), clone });
    });
    // Awaited by the directory.
    slot?.catch(() => undefined);
    return slot;
  }

  #readsDirectly(work: Promise<unknown>): void {
    if (this.#options.clones) this.#direct.push(work);
  }
}

/** A file that was read because its times prove nothing may be unchanged. */
function changeOfRead(place: Place, name: ByteString, node: NodeText): FileChange {
  const change = changeOf(place, name);
  return change === 'changed' && textOf(place, name) === node ? 'unmodified' : change;
}

function textOf({ parent }: Place, name: ByteString): ByteString | undefined {
  const known = parent?.textOf(name) ?? parent?.node(name);
  return typeof known === 'object' ? encodeNode(known) : known;
}
