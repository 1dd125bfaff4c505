import { realpath } from 'node:fs/promises';
import { openTrusted } from '../lib/open-trusted.ts';
import { requireAnswer } from '../lib/require-answer.ts';
import { fromText } from '../model/byte-string.ts';
import { AppError, errnoOf, isAppError } from '../model/errors.ts';
import { quote } from '../model/quote.ts';
import type { Snapshot } from '../model/snapshot.ts';

/** A directory's real path, when a link that another user can change leads to it; else undefined. */
export async function placeBehindLink(path: string): Promise<string | undefined> {
  return (await linkOnTheWay(path))?.place;
}

interface LinkOnTheWay {
  /** Undefined when the target does not exist. */
  readonly place: string | undefined;
}

/** Undefined for a path without such a link. */
async function linkOnTheWay(path: string): Promise<LinkOnTheWay | undefined> {
  try {
    // A server that is away would block the whole process.
    await requireAnswer(fromText(path), { name: path, patienceMs: 4000 });
    using _held = openTrusted(fromText(path));
    return undefined;
  } catch (error) {
    if (!isAppError(error, 'denied')) return undefined;
    try {
      return { place: await realpath(path) };
    } catch (missing) {
      return errnoOf(missing) === 'ENOENT' ? { place: undefined } : undefined;
    }
  }
}

/** The note in a backup of it; pure. */
export function noteBehindLink(path: string, place: string): string {
  return `${quote(path)} is reached through a symbolic link that another user can change, and leads to ${quote(place)} now. A restore does not follow it: in place, it takes --to ${quote(place)}.`;
}

/**
 * The path, through such a link, by which a directory was saved, if the link led to `place` then and still
 * does: a restore there is a restore in place.
 */
export async function savedThroughLink({ volume }: Snapshot, place: string): Promise<string | undefined> {
  if (volume?.kind !== 'path' || volume.realPath !== place) return undefined;
  return (await placeBehindLink(volume.name)) === place ? volume.name : undefined;
}

/**
 * True while such a link leads from a directory's name to another place than its data: what is found by the
 * name (its containers, the safety snapshot) then concerns other data.
 */
export async function isLedAway(name: string, place: string): Promise<boolean> {
  const now = await placeBehindLink(name);
  return now !== undefined && now !== place;
}

/** Throws `denied`, with a way out, for a directory that is reached through such a link. */
export async function refuseBehindLink({ id, volume }: Snapshot): Promise<void> {
  const link = volume && (await linkOnTheWay(volume.name));
  if (volume === undefined || link === undefined) return;
  const { name, realPath } = volume;
  throw new AppError(
    'denied',
    `Cannot restore ${quote(name)}: it is reached through a symbolic link that another user can change`,
    { hint: hintOf({ id: id.slice(0, 8), place: link.place, realPath }) },
  );
}

/** Names only the target at the time of the save: the link's owner may have changed it since. */
function hintOf({
  id,
  place,
  realPath,
}: {
  readonly id: string;
  readonly place: string | undefined;
  readonly realPath: string | undefined;
}): string {
  if (realPath === undefined)
    return 'Restore to a new directory with --to, or let the link and the folder that it is in belong to root.';
  if (place === undefined)
    return `It led to ${quote(realPath)} when it was saved, and nothing is where it leads now. To restore it there: holdfast restore ${id} --to ${quote(realPath)}`;
  if (realPath !== place)
    return `It led to ${quote(realPath)} when it was saved, and leads somewhere else now. Find out why; --to restores to a new directory.`;
  return `It led to ${quote(place)} when it was saved, and does now. To restore it there, in place: holdfast restore ${id} --to ${quote(place)}`;
}
