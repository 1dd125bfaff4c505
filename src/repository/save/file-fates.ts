import type { FileFate } from './save-tally.ts';

/** More than these are not remembered: then some that were new are told as changed, or changed as unmodified. */
const maxRemembered = 200_000;

/** What became of files since the parent snapshot, when they are looked at in several passes. */
export class FileFates {
  readonly #hasParent: boolean;
  readonly #seen = new Map<string, FileFate>();

  constructor(hasParent: boolean) {
    this.#hasParent = hasParent;
  }

  /** `fate` is that since the last pass. */
  since(path: string, fate: FileFate): FileFate {
    if (!this.#hasParent) return 'new';
    const before = this.#seen.get(path);
    if (before !== undefined) return before;
    if (fate !== 'unmodified' && this.#seen.size < maxRemembered) this.#seen.set(path, fate);
    return fate;
  }
}
