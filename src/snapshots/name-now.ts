import { AppError } from '../model/errors.ts';
import { quote } from '../model/quote.ts';
import type { VolumeDescription } from '../model/snapshot.ts';
import { parseVersionedTarget } from '../model/target.ts';
import { targetName } from './find-snapshot.ts';
import type { SnapshotSources } from './sources.ts';
import { volumeIdentity } from '../leases/index.ts';
import type { JobOptions } from '../activity/index.ts';

interface NamedVolume {
  /** The user's reference to the snapshot: a volume, with a version or not, or an id. */
  readonly what: string;
  /** What the snapshot recorded. */
  readonly recorded: Pick<VolumeDescription, 'name' | 'identity'>;
}

/**
 * The current name of a snapshot's volume: this host may have renamed it, and another volume may have the
 * former name. A reference by the former name means that one. The volume need not exist. Throws `conflict`
 * when several volumes have the identity, and none of them is named.
 */
export async function nameNow(
  { catalog, host: openHost }: Pick<SnapshotSources, 'catalog' | 'host'>,
  { what, recorded }: NamedVolume,
  { signal }: JobOptions,
): Promise<string> {
  const asked = targetName(parseVersionedTarget(what, new Date()).target);
  if (asked === recorded.name) return recorded.name;
  const host = await openHost();
  const { identity: hostIdentity } = await host.info({ signal });
  const isIt = (name: string): boolean =>
    volumeIdentity(catalog, { hostIdentity, name }) === recorded.identity;
  if (isIt(asked) && (await host.findVolume(asked, { signal })) !== undefined) return asked;
  if (isIt(recorded.name)) return recorded.name;
  const [found, ...more] = (await host.listVolumes({ signal })).filter(({ name }) => isIt(name));
  if (found !== undefined && more.length > 0) throw ofSeveral(what, [found, ...more]);
  return found?.name ?? recorded.name;
}

/**
 * For a record that was copied or restored by hand: the former name means none of them, as it is another's.
 */
function ofSeveral(what: string, found: readonly { readonly name: string }[]): AppError {
  return new AppError(
    'conflict',
    `The snapshot ${quote(what)} is of a volume of which there are several now: ${found.map(({ name }) => quote(name)).join(', ')}`,
    { hint: `Name the one that you mean: ${found[0]?.name}@ID.` },
  );
}
