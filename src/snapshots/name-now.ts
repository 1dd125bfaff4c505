import { AppError } from '../model/errors.ts';
import { quote } from '../model/quote.ts';
import type { VolumeDescription } from '../model/snapshot.ts';
import { parseVersionedTarget } from '../model/target.ts';
import { targetName } from './find-snapshot.ts';
import { volumeIdentity } from '../leases/index.ts';
import type { JobOptions, Protection } from '../activity/index.ts';

interface NamedVolume {
  /** What the user has named the snapshot by: a volume, with a version or not, or an id. */
  readonly what: string;
  /** What the snapshot says. */
  readonly recorded: Pick<VolumeDescription, 'name' | 'identity'>;
}

/**
 * The name of the volume that a snapshot is of: this host may have it under another one since, and another volume may have
 * got the former. Who names the former name means that one. It need not be there. Throws `conflict` when several have
 * become of it, and none of them is named.
 */
export async function nameNow(
  parts: Pick<Protection, 'catalog' | 'host' | 'now'>,
  { what, recorded }: NamedVolume,
  { signal }: JobOptions,
): Promise<string> {
  const asked = targetName(parseVersionedTarget(what, new Date(parts.now())).target);
  if (asked === recorded.name) return recorded.name;
  const [catalog, host] = [await parts.catalog(), await parts.host()];
  const { identity: hostIdentity } = await host.info({ signal });
  const isIt = (name: string): boolean =>
    volumeIdentity(catalog, { hostIdentity, name }) === recorded.identity;
  if (isIt(asked) && (await host.findVolume(asked, { signal })) !== undefined) return asked;
  if (isIt(recorded.name)) return recorded.name;
  const [found, ...more] = (await host.listVolumes({ signal })).filter(({ name }) => isIt(name));
  if (found !== undefined && more.length > 0) throw ofSeveral(what, [found, ...more]);
  return found?.name ?? recorded.name;
}

/** A record that was copied, or put back by hand: none of them can be meant by the former name, which is another's. */
function ofSeveral(what: string, found: readonly { readonly name: string }[]): AppError {
  return new AppError(
    'conflict',
    `The snapshot ${quote(what)} is of a volume of which there are several now: ${found.map(({ name }) => quote(name)).join(', ')}`,
    { hint: `Name the one that you mean: ${found[0]?.name}@ID.` },
  );
}
