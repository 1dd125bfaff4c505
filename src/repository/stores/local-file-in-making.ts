import { randomBytes } from 'node:crypto';
import { DurableWriter } from '../lib/durable-writer.ts';
import { AppError, errnoOf } from '../../model/errors.ts';
import { filePath } from './layout.ts';
import { explainLocal } from './local-errors.ts';
import { isRepository, putInPlace } from './put-in-place.ts';
import type { FileInMaking } from './store.ts';

/** A pack on its way into a local directory: a temporary file until it is finished. */
export class LocalFileInMaking implements FileInMaking {
  readonly #location: string;
  readonly #writer: DurableWriter;

  constructor(location: string) {
    this.#location = location;
    try {
      this.#writer = openWriter(location);
    } catch (error) {
      throw explainLocal(error, location);
    }
  }

  write(bytes: Uint8Array): void {
    try {
      this.#writer.write(bytes);
    } catch (error) {
      throw explainLocal(error, this.#location);
    }
  }

  async finish(name: string): Promise<void> {
    try {
      const path = `${this.#location}/${filePath('data', name)}`;
      await putInPlace({ location: this.#location, path }, () => this.#writer.moveTo(path));
    } catch (error) {
      this.#writer.abandon();
      // Its folder is there, or was made: what is missing is the file.
      if (errnoOf(error) === 'ENOENT' && isRepository(this.#location)) throw takenAway(this.#location, error);
      throw explainLocal(error, this.#location);
    }
  }

  abandon(): void {
    this.#writer.abandon();
  }
}

function takenAway(location: string, cause: unknown): AppError {
  return new AppError('conflict', `A pack in the making was removed from repository "${location}"`, {
    hint: 'Another program tidies up in the repository without a lock. Find it before you run this again.',
    cause,
  });
}

/** In any of the folders of packs, since the name is not known yet, or where they are missing in the one above all. */
function openWriter(location: string): DurableWriter {
  try {
    return new DurableWriter(`${location}/data/${randomBytes(1).toString('hex')}`);
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
    return new DurableWriter(location);
  }
}
