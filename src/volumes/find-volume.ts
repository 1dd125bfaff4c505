import type { CallOptions, Host } from '../hosts/host.ts';
import { AppError } from '../model/errors.ts';
import { didYouMean, nearNames } from '../model/near-names.ts';
import { quote } from '../model/quote.ts';
import type { Volume } from '../model/volume.ts';

/**
 * The volume of that name; otherwise `not-found` with a suggestion. `action` completes "Cannot …"; without it,
 * the suggestion may also be a stack or a directory.
 */
export async function findVolume(
  host: Host,
  name: string,
  { action, signal }: CallOptions & { readonly action?: string | undefined },
): Promise<Volume> {
  const volume = await host.findVolume(name, { signal });
  if (volume !== undefined) return volume;
  const all = await host.listVolumes({ signal });
  const near = didYouMean(
    nearNames(
      name,
      all.map((other) => other.name),
    ),
  );
  if (action !== undefined)
    throw new AppError('not-found', `Cannot ${action} ${quote(name)}: there is no such volume`, {
      hint: near ?? 'List what there is with "holdfast volume ls".',
    });
  const isStack = all.some(({ stack }) => stack === name);
  throw new AppError('not-found', `There is no volume ${quote(name)}`, {
    hint:
      (isStack ? `It is a stack: --stack ${name} means all of its volumes.` : undefined) ??
      near ??
      'See "holdfast volume ls". A directory is written with a "/" or "." at its start.',
  });
}
