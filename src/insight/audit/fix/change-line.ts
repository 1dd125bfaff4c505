import { realpath, stat } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { tryLockDirectory } from '../../../lib/directory-lock.ts';
import { writeDurably } from '../../../lib/durable-file.ts';
import { knownError } from '../../../lib/known-error.ts';
import { listXattrs, removeXattr, setXattr } from '../../../lib/posix.ts';
import { type ByteString, fromText } from '../../../model/byte-string.ts';
import { AppError, errnoOf } from '../../../model/errors.ts';
import { quote } from '../../../model/quote.ts';
import { readSmallFile } from '../read-small-file.ts';
import type { LineEdit } from './plan-moves.ts';

/** True when the change is taken back, false when another program has written to the file since. */
export type UndoEdit = () => Promise<boolean>;

/** Changes one line of a file that is as it was planned; returns what takes the change back. */
export async function changeLine(edit: LineEdit): Promise<UndoEdit> {
  const real = await realpath(edit.file);
  using _held = await holdFile(real);
  const content = (await readSmallFile(real)) ?? '';
  const changed = withLine(content, edit);
  await replace(real, changed);
  return async () => {
    using _heldAgain = await holdFile(real);
    const now = (await readSmallFile(real)) ?? '';
    if (now === changed) {
      await replace(real, content);
      return true;
    }
    // What another program has written since is not ours to take back; another fix has changed a line of its own.
    const lines = now.split('\n');
    const isOneMore = changed.split('\n').length === lines.length && lines[edit.line - 1] === edit.after;
    if (!isOneMore) return false;
    await replace(real, lines.with(edit.line - 1, edit.before).join('\n'));
    return true;
  };
}

/**
 * Replaces the file by an equal one: throws where the change itself would have no right or no room, or finds another
 * line, while that costs nothing yet.
 */
export async function rehearseChange(edit: LineEdit): Promise<void> {
  const real = await realpath(edit.file);
  using _held = await holdFile(real);
  const content = (await readSmallFile(real)) ?? '';
  withLine(content, edit);
  await replace(real, content);
}

/** The content with the line changed; throws when it is another line by now. Pure. */
export function withLine(content: string, { file, line, before, after }: LineEdit): string {
  const lines = content.split('\n');
  if (lines[line - 1] === before) return lines.with(line - 1, after).join('\n');
  throw new AppError('conflict', `Cannot change ${quote(file)}: line ${line} is another one by now`, {
    hint: 'Audit again.',
  });
}

const fileWithinMs = 30_000;

/** Keeps other fixes from writing to a file of the folder between our look and our change: theirs would be lost. */
async function holdFile(file: string): Promise<Disposable> {
  const deadline = performance.now() + fileWithinMs;
  for (;;) {
    const held = lockFolderOf(file);
    if (held !== undefined) return held;
    if (performance.now() > deadline)
      throw new AppError('locked', `Cannot change ${quote(file)}: another program has locked its folder`);
    await sleep(20);
  }
}

async function replace(file: string, content: string): Promise<void> {
  try {
    const like = await stat(file);
    const uid = process.geteuid?.();
    if (uid !== 0 && uid !== like.uid)
      throw new AppError(
        'denied',
        `Cannot change ${quote(file)}: it belongs to another user, who would lose it`,
        {
          hint: 'Run this as its owner or as root.',
        },
      );
    const prepare = (fd: number): void => copyAttributes(fromText(file), fd);
    await writeDurably(file, content, { like, prepare });
  } catch (error) {
    throw knownError(error, `Cannot change ${quote(file)}`);
  }
}

const acl = 'system.posix_acl_access';

/** An ACL says who else may read the file, and one that its folder gives to new files would say it of others. */
function copyAttributes(file: ByteString, fd: number): void {
  const wanted = listXattrs(file);
  if (listXattrs(fd).some(({ name }) => name === acl)) removeXattr(fd, acl);
  for (const attribute of wanted)
    try {
      setXattr(fd, attribute);
    } catch (error) {
      // What a security module or a server sets by itself.
      const isLabel = !attribute.name.startsWith('user.') && attribute.name !== acl;
      if (!isLabel || errnoOf(error) === undefined) throw error;
    }
}

function lockFolderOf(file: string): Disposable | undefined {
  try {
    return tryLockDirectory(fromText(path.dirname(file)));
  } catch (error) {
    throw knownError(error, `Cannot change ${quote(file)}`);
  }
}
