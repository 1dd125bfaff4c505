import { reasonText } from '../../lib/tree-problem.ts';
import type { ByteString } from '../../model/byte-string.ts';
import { errnoOf } from '../../model/errors.ts';
import type { SaveProblem } from '../../model/snapshot.ts';

/**
 * Turns a system error into the problem of something that could not be read. Throws any other error, which is
 * not a fault of the file.
 */
export function readProblem(path: ByteString, error: unknown): SaveProblem {
  const code = errnoOf(error);
  if (code === undefined) throw error;
  if (code === 'EFBIG')
    return { path, reason: 'unreadable', message: 'has more zeros than a snapshot has room for' };
  if (code === 'ENOENT') return { path, reason: 'vanished', message: 'was removed before it was read' };
  if (code === 'ELOOP' || code === 'ENOTDIR')
    return { path, reason: 'changed', message: 'became something else before it was read' };
  return { path, reason: 'unreadable', message: `cannot be read: ${reasonText(code)}` };
}
