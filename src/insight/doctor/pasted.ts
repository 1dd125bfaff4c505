import { fromText } from '../../model/byte-string.ts';
import { type Guard, right } from './access.ts';
import { wayTo } from './way.ts';

/**
 * A command with paths of this machine, as a person can paste it as root. Who owns a folder on the way can put a
 * link in its place after the command was printed, and lead it to any other place: where that is one user, the
 * command is that user's and can do what the user can; where there are several, none is printed.
 *
 * A place that ends with `/` is a folder in which the command looks up a name that may not be touched here.
 */
export function pasted(command: readonly string[], ...places: readonly string[]): string[][] {
  const rulers = rulersOf(places);
  if (rulers === undefined || rulers.size > 1) return [];
  const [ruler] = rulers;
  if (ruler === undefined) return [[...command]];
  // The user can trace what runs as that user: it has no terminal to type into for root, and no variables of root's.
  const apart = ['setsid', '--wait', 'env', '-i'];
  // A folder can have a group that its owner is not in: that of the folder above.
  return [[...apart, 'setpriv', `--reuid=${ruler}`, `--regid=${noGroup}`, '--clear-groups', ...command]];
}

/** The same for what only root can do. */
export function pastedByRoot(command: readonly string[], ...places: readonly string[]): string[][] {
  return rulersOf(places)?.size === 0 ? [[...command]] : [];
}

const noGroup = 65_534;

/**
 * Users besides root who can lead one of these paths elsewhere; undefined where many can.
 * What is not there yet can be made by all who may write to the folder that it would be in.
 */
function rulersOf(places: readonly string[]): ReadonlySet<number> | undefined {
  const rulers = new Set<number>();
  let areMany = false;
  const pass = (folder: Guard, owner: number | undefined): void => {
    if (folder.uid !== 0) rulers.add(folder.uid);
    if (!isOpenToOthers(folder)) return;
    // In a sticky directory no user can replace another's entries.
    if ((folder.mode & 0o1000) === 0 || owner === undefined) areMany = true;
    else if (owner !== 0) rulers.add(owner);
  };
  for (const place of places)
    try {
      const folder = wayTo('/', fromText(place), pass).at(-1);
      if (folder !== undefined && place.endsWith('/')) pass(folder.guard, undefined);
    } catch {
      // What is missing, or closed to this user, has been judged up to there.
    }
  return areMany ? undefined : rulers;
}

/** Whom a user lets into an own folder is that user's decision. */
function isOpenToOthers({ uid, gid, mode, acl = [] }: Guard): boolean {
  if (uid !== 0) return (mode & 0o002) !== 0;
  const isListed = acl.some(
    ({ tag, rights }) => /^(?:user|group)$/.test(tag) && (rights & right.write) !== 0,
  );
  return isListed || (mode & (gid === 0 ? 0o002 : 0o022)) !== 0;
}
