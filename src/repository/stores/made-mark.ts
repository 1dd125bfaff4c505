import { noRepository } from './store-errors.ts';

/**
 * Whether a repository exists in a place without folders, where every key can be written: a running backup
 * must not recreate a store that has disappeared. Looked up once.
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
