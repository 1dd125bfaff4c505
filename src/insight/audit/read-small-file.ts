import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { AppError, errnoOf } from '../../model/errors.ts';
import { knownError } from '../../lib/known-error.ts';
import { quote } from '../../model/quote.ts';

const sizeAtMost = 4 << 20;

/** A regular file as text; undefined when it is not there. Never waits for a FIFO, and refuses large ones. */
export async function readSmallFile(path: string): Promise<string | undefined> {
  try {
    await using file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
    const stat = await file.stat();
    if (!stat.isFile()) throw new AppError('usage', `Cannot read ${quote(path)}: it is no regular file`);
    if (stat.size > sizeAtMost)
      throw new AppError('usage', `Cannot read ${quote(path)}: it is larger than 4 MiB`);
    return await file.readFile('utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return undefined;
    throw knownError(error, `Cannot read ${quote(path)}`);
  }
}
