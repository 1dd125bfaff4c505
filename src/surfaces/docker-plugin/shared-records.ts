import { AppError, errnoOf, errorMessage, isAppError } from '../../model/errors.ts';
import { readdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { writeDurably, syncDirectory } from '../../lib/durable-file.ts';
import { parseJson } from '../../model/parse-json.ts';
import { quote } from '../../model/quote.ts';
import { storageKind } from '../../model/storage-kind.ts';
import { isVolumeName } from '../../model/volume-name.ts';

/** A volume that every host makes with the same options. */
export interface SharedRecord {
  readonly name: string;
  readonly options: Readonly<Record<string, string>>;
  /** RFC 3339. */
  readonly createdAt: string;
}

/** Far more than a folder that answers needs, and less than an engine waits. */
const patienceMs = 5000;
/**
 * Fewer than the four threads for all file operations of the process: a server that is away blocks the thread
 * of each read.
 */
const readsAtOnce = 2;

/**
 * The records of volumes that several hosts share, one file each, in a folder that all of them mount. A
 * host's writes are visible to the others at once; of two that write the same name at the same moment one
 * fails. `unavailable` when the folder does not answer or is missing: then nothing is known, not even that a
 * volume is missing.
 */
export class SharedRecords {
  readonly #folder: string;
  /** Fulfilled when the folder has answered the last request. */
  #answered: Promise<unknown> = Promise.resolve();

  constructor(folder: string) {
    this.#folder = folder;
  }

  async find(name: string): Promise<SharedRecord | undefined> {
    if (!isVolumeName(name)) return undefined;
    return await this.#inTime(async () => {
      await this.#check();
      return await this.#read(name);
    });
  }

  /** Sorted by name. A record that cannot be read hides no other. */
  async list(): Promise<SharedRecord[]> {
    return await this.#inTime(async () => {
      await this.#check();
      const names = (await readdir(this.#folder)).flatMap((file) => /^(.+)\.json$/.exec(file)?.[1] ?? []);
      const queue = names.filter(isVolumeName).values();
      const records: SharedRecord[] = [];
      const work = async (): Promise<void> => {
        for (const name of queue) {
          const record = await this.#readGood(name);
          if (record !== undefined) records.push(record);
        }
      };
      await Promise.all(Array.from({ length: readsAtOnce }, work));
      return records.toSorted((one, other) => (one.name < other.name ? -1 : 1));
    });
  }

  /** `exists` for a name that is taken. */
  async add(record: SharedRecord): Promise<void> {
    await this.#inTime(async () => {
      await this.#check();
      try {
        await writeDurably(this.#path(record.name), `${JSON.stringify(record)}\n`, { isNew: true });
      } catch (error) {
        if (errnoOf(error) !== 'EEXIST') throw error;
        throw new AppError('exists', `Volume ${quote(record.name)} was made by another host`, {
          cause: error,
        });
      }
    });
  }

  /** Succeeds for one that is gone. */
  async remove(name: string): Promise<void> {
    await this.#inTime(async () => {
      await this.#check();
      await rm(this.#path(name), { force: true });
      await syncDirectory(this.#folder);
    });
  }

  #path(name: string): string {
    return join(this.#folder, `${name}.json`);
  }

  async #read(name: string): Promise<SharedRecord | undefined> {
    try {
      return parse(name, await readFile(this.#path(name), 'utf8'));
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return undefined;
      throw error;
    }
  }

  async #readGood(name: string): Promise<SharedRecord | undefined> {
    try {
      return await this.#read(name);
    } catch (error) {
      if (isAppError(error)) return undefined;
      throw error;
    }
  }

  /**
   * The empty mount point of a folder that is not mounted would look like an answer: so the folder must carry
   * a mark.
   */
  async #check(): Promise<void> {
    const folder = await stat(this.#folder);
    if ((folder.mode & 0o022) !== 0) {
      throw new AppError(
        'denied',
        `Cannot use ${quote(this.#folder)}: others than its owner can write to it`,
        {
          hint: `Its records say what is mounted here: chmod go-w ${quote(this.#folder)}`,
        },
      );
    }
    await stat(join(this.#folder, sharedMark));
  }

  /** One request at a time; one whose time is up before its turn is never sent. */
  async #inTime<T>(work: () => Promise<T>): Promise<T> {
    const late = Promise.withResolvers<never>();
    const folder = quote(this.#folder);
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      late.reject(new AppError('unavailable', `The shared folder ${folder} does not answer`));
    }, patienceMs);
    const answer = this.#answered.then(() => (isLate ? late.promise : work()));
    // The next request asks anew; its own caller gets the error.
    this.#answered = answer.catch(() => undefined);
    try {
      return await Promise.race([answer, late.promise]);
    } catch (error) {
      if (isAppError(error)) throw error;
      const words = errorMessage(error);
      const hint = `Is it mounted? A folder for shared volumes holds a file ${quote(sharedMark)}: make it once, when it is.`;
      throw new AppError('unavailable', `Cannot use the shared folder ${folder}: ${words}`, {
        hint,
        cause: error,
      });
    } finally {
      clearTimeout(timer);
    }
  }
}

/** Marks the shared folder, to tell it from its empty mount point. */
export const sharedMark = 'holdfast-shared';

function parse(name: string, text: string): SharedRecord {
  const value = toObject(parseJson(text));
  const { options, createdAt } = value;
  const isGood =
    value['name'] === name &&
    typeof createdAt === 'string' &&
    typeof options === 'object' &&
    options !== null &&
    Object.values(options).every((option) => typeof option === 'string');
  if (!isGood) throw unreadable(name);
  const record: SharedRecord = { name, options: { ...options }, createdAt };
  try {
    storageKind({ driver: 'local', options: record.options });
  } catch (error) {
    throw unreadable(name, error);
  }
  return record;
}

function unreadable(name: string, cause?: unknown): AppError {
  return new AppError('failed', `The shared record of volume ${quote(name)} cannot be read`, { cause });
}

function toObject(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}
