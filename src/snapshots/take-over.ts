import { AppError } from '../model/errors.ts';
import { quote } from '../model/quote.ts';
import type { VolumeDescription } from '../model/snapshot.ts';
import type { JobOptions } from '../activity/index.ts';
import { findContext } from './snapshots.ts';
import type { SnapshotSources } from './sources.ts';

/**
 * Future snapshots under this name continue what another machine saved under it. Throws `usage` when several
 * machines did: no record says whose place this one takes.
 */
export async function takeOverByName(
  sources: SnapshotSources,
  { kind, name }: Pick<VolumeDescription, 'kind' | 'name'>,
  options: JobOptions,
): Promise<void> {
  const { snapshots, isOwn } = await findContext(sources, options);
  const others = snapshots.filter(
    (one) => one.volume?.kind === kind && one.volume.name === name && !isOwn(one),
  );
  const origins = new Map(
    others.flatMap(({ volume }) =>
      volume === undefined ? [] : [[volume.identity, volume.host.name] as const],
    ),
  );
  const [origin, ...more] = origins;
  if (origin === undefined)
    return options.onNote?.(`There is nothing of ${quote(name)} to take over from another machine.`);
  if (more.length > 0)
    throw new AppError(
      'usage',
      `Several machines saved ${quote(name)}: this one cannot take the place of all`,
      {
        detail: [...origins.values()].map(quote).join(', '),
        hint: `Restore a snapshot of the one that is meant: holdfast restore ID --take-over`,
      },
    );
  const [identity, hostName] = origin;
  const { hostIdentity } = await placeOf(sources, { kind, name }, options);
  sources.catalog.takeOverLineage(hostIdentity, name, { identity, hostName });
}

export interface Place {
  readonly kind: VolumeDescription['kind'];
  readonly hostIdentity: string;
  readonly name: string;
}

export async function placeOf(
  { catalog, host }: Pick<SnapshotSources, 'catalog' | 'host'>,
  { kind, name }: Pick<VolumeDescription, 'kind' | 'name'>,
  { signal }: JobOptions,
): Promise<Place> {
  const stateId = catalog.stateId();
  if (kind === 'path') return { kind, hostIdentity: stateId, name };
  const { identity } = await (await host()).info({ signal });
  return { kind, hostIdentity: identity || stateId, name };
}
