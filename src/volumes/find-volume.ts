import type { CallOptions, Host } from '../hosts/host.ts';
import { AppError } from '../model/errors.ts';
import { didYouMean, nearNames } from '../model/near-names.ts';
import { quote } from '../model/quote.ts';
import type { Volume } from '../model/volume.ts';

/** The volume of that name; `not-found` otherwise. `action` completes "Cannot …". */
export async function findVolume(
  host: Host,
  name: string,
  { action, signal }: CallOptions & { readonly action: string },
): Promise<Volume> {
  const volume = await host.findVolume(name, { signal });
  if (volume !== undefined) return volume;
  const near = nearNames(
    name,
    (await host.listVolumes({ signal })).map((other) => other.name),
  );
  throw new AppError('not-found', `Cannot ${action} ${quote(name)}: there is no such volume`, {
    hint: didYouMean(near) ?? 'List what there is with "holdfast volume ls".',
  });
}
