import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import { makeDurably } from '../../lib/durable-file.ts';
import { DurableWriter } from '../../lib/durable-writer.ts';
import { errnoOf } from '../../model/errors.ts';
import { filePath } from './layout.ts';
import { explainLocal } from './local-errors.ts';
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
      await this.#moveTo(`${this.#location}/${filePath('data', name)}`);
    } catch (error) {
      this.#writer.abandon();
      throw explainLocal(error, this.#location);
    }
  }

  abandon(): void {
    this.#writer.abandon();
  }

  async #moveTo(path: string): Promise<void> {
    try {
      await this.#writer.moveTo(path);
    } catch (error) {
      // As in `save`: a repository that was copied without its empty folders gets them back, one that is gone does not.
      if (errnoOf(error) !== 'ENOENT' || !existsSync(`${this.#location}/config`)) throw error;
      await makeDurably(dirname(path));
      await this.#writer.moveTo(path);
    }
  }
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
