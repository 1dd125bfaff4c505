import { noRepository } from './store-errors.ts';

/**
 * Whether a repository has been made in a place that has no folders, where every key can be written: a store that has
 * gone must not be made anew by a backup that goes on. Found out once.
 */
export class MadeMark {
  readonly #location: string;
  readonly #hasConfig: () => Promise<boolean>;
  #isMade = false;

  constructor(location: string, hasConfig: () => Promise<boolean>) {
    this.#location = location;
    this.#hasConfig = hasConfig;
  }

  set(): void {
    this.#isMade = true;
  }

  /** Throws `not-found` where there is no repository. */
  async assert(): Promise<void> {
    if (this.#isMade) return;
    if (!(await this.#hasConfig())) throw noRepository(this.#location);
    this.#isMade = true;
  }
}
