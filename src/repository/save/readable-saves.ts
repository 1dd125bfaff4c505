import { knownError } from '../../lib/known-error.ts';
import { type AppError, isAppError } from '../../model/errors.ts';
import { quote } from '../../model/quote.ts';
import type { DataSave } from './data-save.ts';
import type { SaveScheduler } from './save-scheduler.ts';

interface SharedBySaves {
  readonly scheduler: Pick<SaveScheduler, 'failure'>;
  readonly signal: AbortSignal | undefined;
}

/** Several saves of one moment: one whose own data cannot be read is left out, and the others go on. */
export class ReadableSaves {
  readonly #works: readonly DataSave[];
  readonly #shared: SharedBySaves;
  readonly #errors = new Map<DataSave, AppError>();
  #first: unknown;

  constructor(works: readonly DataSave[], shared: SharedBySaves) {
    this.#works = works;
    this.#shared = shared;
  }

  get left(): DataSave[] {
    return this.#works.filter((work) => !this.#errors.has(work));
  }

  get lost(): DataSave[] {
    return this.#works.filter((work) => this.#errors.has(work));
  }

  errorOf(work: DataSave): AppError | undefined {
    return this.#errors.get(work);
  }

  /** Does a step of each. Throws what is no fault of one's data, and the first error when none can be read. */
  async each(step: (work: DataSave) => Promise<void>): Promise<void> {
    for (const work of this.left) {
      try {
        await step(work);
      } catch (error) {
        if (this.#isOfAll(error)) throw error;
        this.#first ??= error;
        this.#errors.set(work, knownError(error, `Cannot read ${quote(work.options.volume.name)}`));
        if (this.left.length === 0) throw this.#first;
      }
    }
  }

  /** The store, the repository or the user has ended the work. */
  #isOfAll(error: unknown): boolean {
    const { scheduler, signal } = this.#shared;
    return scheduler.failure !== undefined || signal?.aborted === true || isAppError(error, 'cancelled');
  }
}
