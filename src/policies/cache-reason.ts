import { isOfMachine } from '../volumes/index.ts';

/** The evidence that a place holds nothing of value. */
export interface PlaceUse {
  /** The volume's name, or a host path; undefined for memory. */
  readonly name: string | undefined;
  /** Where containers mount it. */
  readonly destinations: readonly string[];
  /** Images and commands of those containers. */
  readonly users: readonly { readonly image: string; readonly command: readonly string[] }[];
}

const cacheNames =
  /(?:^|[-_.])(?:cache|caches|cached|tmp|temp|node_modules|node-modules|scratch|buildkit|pnpm-store|ccache)(?:$|[-_.])/i;
const cachePaths =
  /(?:^\/tmp|^\/var\/tmp|^\/var\/cache|^\/run|^\/var\/run|\/node_modules|\/\.cache|\/\.npm|\/\.yarn|\/\.pnpm-store|\/\.gradle|\/__pycache__|\/\.ccache|\/cache)(?:\/|$)/i;

/**
 * Why the data in a place is expendable; undefined when no evidence says so. A guess by names, never a reason
 * to skip a backup. Pure.
 */
export function cacheReason({ name, destinations, users }: PlaceUse): string | undefined {
  if (name?.startsWith('/') && isOfMachine(name)) return 'it is of the machine, not of the application';
  if (name !== undefined && !name.startsWith('/') && cacheNames.test(name))
    return 'its name says that it is a cache';
  if (name?.startsWith('/') && cachePaths.test(name)) return 'its path says that it is a cache';
  const [first] = destinations;
  if (first !== undefined && destinations.every((path) => cachePaths.test(path)))
    return `it is mounted at "${first}", where nothing lasting is kept`;
  if (users.length > 0 && users.every(isMemoryCache)) return 'it belongs to a store that is used as a cache';
  return undefined;
}

function isMemoryCache({ image, command }: PlaceUse['users'][number]): boolean {
  const base = image.split('/').at(-1)?.split(/[:@]/)[0] ?? '';
  if (base === 'memcached') return true;
  if (!/^(?:redis|valkey|keydb|dragonfly)/.test(base)) return false;
  const text = command.join(' ');
  const evicts = /--maxmemory-policy\s+allkeys-/.test(text);
  const savesNothing =
    command.some((word, index) => word === '--save' && (command[index + 1] ?? '') === '') &&
    !/--appendonly\s+yes/.test(text);
  return evicts || savesNothing;
}
