import { tmpdir } from 'node:os';
import type { ByteString } from '../../model/byte-string.ts';
import { errnoOf, isAppError } from '../../model/errors.ts';
import { MirrorPass } from './mirror-pass.ts';
import { OpenDirectories } from '../../lib/open-directories.ts';
import { CodeBook } from './piece-codes.ts';
import { differs, proveNames } from './prove-copy.ts';
import { type QuietTime, quietSince, writePagesDown } from './quiet-time.ts';
import { isTimely } from '../../lib/filesystem-type.ts';
import { TreeLedger } from './tree-ledger.ts';
import type { TreeProblem } from '../../lib/tree-problem.ts';
import { walkTree } from '../../lib/tree-walk.ts';
import { type TreeProgress, TreeWriter } from '../../lib/tree-writer.ts';

export interface MirrorOptions {
  readonly signal?: AbortSignal | undefined;
  /** Counts of everything copied, in all passes. */
  readonly onProgress?: ((progress: TreeProgress) => void) | undefined;
  /**
   * The folder for an unnamed file of notes: the path and a hundred bytes for each file. Default: the folder
   * for temporary files.
   */
  readonly notesIn?: string | undefined;
}

export interface MirrorCounts {
  /** Bytes written in a pass. */
  readonly bytes: number;
  readonly files: number;
  readonly durationMs: number;
}

/**
 * Makes a directory an exact copy of another that may be in use meanwhile, pass by pass: each copies only
 * what has changed since, and compares what it copied. After a pass with a still source both are the same,
 * and every byte of the copy was compared with the source after its last change. The target is empty at
 * first, on a file system or in a folder of its own, and no other process touches it.
 *
 * What cannot be carried over exactly ends the work: an attribute that the target does not support is an
 * error, not a note. `integrity` when a copy differs.
 */
export class TreeMirror implements Disposable {
  readonly #from: ByteString;
  readonly #to: ByteString;
  readonly #options: MirrorOptions;
  readonly #codes = new CodeBook();
  /** What is in the target. */
  #known: TreeLedger | undefined;
  /** False when the clock was set during the previous pass, so that its times prove nothing. */
  #isKnownByTimes = true;
  /** Directories with changes since all names were compared. */
  readonly #changed = new Set<ByteString>();
  #done: TreeProgress = { bytes: 0, files: 0 };

  constructor(from: ByteString, to: ByteString, options: MirrorOptions = {}) {
    this.#from = from;
    this.#to = to;
    this.#options = options;
  }

  /** `isStill`: the source is not written to, so nothing may change or vanish while it is read. */
  async pass({ isStill }: { readonly isStill: boolean }): Promise<MirrorCounts> {
    const began = performance.now();
    const before = this.#done;
    const quiet = await this.#quiet(isStill);
    using notes = new DisposableStack();
    const ledger = notes.use(new TreeLedger(this.#options.notesIn ?? tmpdir()));
    const changed = await this.#walk(ledger, { isStill, quiet });
    this.#known?.[Symbol.dispose]();
    this.#known = ledger;
    notes.move();
    this.#isKnownByTimes = quiet.isClockSteady();
    for (const path of changed) this.#changed.add(path);
    if (isStill) this.#proveChangedNames();
    const { bytes, files } = this.#done;
    return {
      bytes: bytes - before.bytes,
      files: files - before.files,
      durationMs: performance.now() - began,
    };
  }

  /**
   * Compares all names of the copy with what was copied. Reports the number of files so far, without
   * directories and further names.
   */
  async proveNames({ onProgress }: { readonly onProgress?: (files: number) => void } = {}): Promise<void> {
    const known = this.#known?.read();
    let files = 0;
    for await (const { entry } of walkTree(this.#to, { signal: this.#options.signal, statOnly: true })) {
      const missing = known?.takeBefore(entry.path);
      if (missing !== undefined) throw differs(missing.path, 'it is missing');
      const line = known?.takeAt(entry.path);
      if (line === undefined) throw differs(entry.path, 'it is not to be there');
      if (line.isDirectory !== (entry.type === 'dir')) throw differs(entry.path, 'its kind differs');
      if (!line.isDirectory && !line.isLink) onProgress?.(++files);
    }
    const missing = known?.takeBefore(undefined);
    if (missing !== undefined) throw differs(missing.path, 'it is missing');
    this.#changed.clear();
  }

  [Symbol.dispose](): void {
    this.#known?.[Symbol.dispose]();
  }

  /** Where a write changes the times at once, no application has to wait until all pages are flushed. */
  async #quiet(isStill: boolean): Promise<QuietTime> {
    if (!isStill) return await quietSince(this.#from);
    if (!isTimely(this.#from)) await writePagesDown(this.#from);
    return { isQuiet: () => true, isClockSteady: () => true };
  }

  async #walk(
    ledger: TreeLedger,
    { isStill, quiet }: { readonly isStill: boolean; readonly quiet: QuietTime },
  ): Promise<Set<ByteString>> {
    const { signal, onProgress } = this.#options;
    const { bytes, files } = this.#done;
    let patched = 0;
    const count = (written: TreeProgress): void => {
      this.#done = { bytes: bytes + patched + written.bytes, files: files + written.files };
      onProgress?.(this.#done);
    };
    // `pass` needs the writer, and is declared below.
    const onProblem = (problem: TreeProblem): void => pass.onProblem(problem);
    using places = new OpenDirectories(this.#to, { isStaged: false });
    // Later, directories may have default ACLs, which new entries would inherit.
    const isStaged = this.#known === undefined;
    using writer = new TreeWriter(this.#to, { signal, onProblem, onProgress: count, isStaged });
    const pass: MirrorPass = new MirrorPass({
      ...{ signal, places, writer, ledger, isStill, codes: this.#codes, isQuiet: quiet.isQuiet },
      before: this.#known?.read(),
      trustsTimes: this.#isKnownByTimes,
      onPatched(more) {
        patched += more;
        count(writer.progress);
      },
    });
    for await (const walked of walkTree(this.#from, { signal, onProblem, statOnly: true }))
      await pass.take(walked);
    return await pass.finish();
  }

  #proveChangedNames(): void {
    using from = new OpenDirectories(this.#from, { isStaged: false });
    using to = new OpenDirectories(this.#to, { isStaged: false });
    // Sorted, so that nearby directories stay open.
    for (const path of [...this.#changed].sort()) if (isThere(from, path)) proveNames(path, { from, to });
    this.#changed.clear();
  }
}

/** A removed directory is noticed among its parent's names. */
function isThere(tree: OpenDirectories, path: ByteString): boolean {
  try {
    tree.enter(path, { create: false });
    return true;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || (isAppError(error) && error.code === 'conflict')) return false;
    throw error;
  }
}
