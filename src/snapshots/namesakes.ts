import { quote } from '../model/quote.ts';
import type { Protection } from '../activity/index.ts';
import { hostIfKnown, type ListedSnapshot } from './snapshots.ts';

/** The names that this machine goes by in snapshots: its own, and its engine's where that answers. */
export async function machineNames(
  parts: Pick<Protection, 'host' | 'hostname'>,
  signal: AbortSignal | undefined,
): Promise<ReadonlySet<string>> {
  const host = await hostIfKnown(parts, { signal });
  return new Set([parts.hostname, ...(host === undefined ? [] : [host.name])]);
}

/**
 * Those snapshots of a volume that a machine of this name saved and that are not this machine's; pure. An engine that was
 * installed anew is another one, and so is a state folder: this may be the same machine, or a copy of it.
 */
export function ofNamesakes<T extends Pick<ListedSnapshot, 'volume' | 'isOwn'>>(
  snapshots: readonly T[],
  { kind, name }: { readonly kind: string; readonly name: string },
  machines: ReadonlySet<string>,
): T[] {
  return snapshots.filter(
    ({ volume, isOwn }) =>
      !isOwn && volume?.kind === kind && volume.name === name && machines.has(volume.host.name),
  );
}

/** What to do about them; undefined where there are none. */
export function takeOverHint(namesakes: readonly unknown[], name: string): string | undefined {
  if (namesakes.length === 0) return undefined;
  const one = namesakes.length === 1;
  return `${one ? 'one snapshot' : `${namesakes.length} snapshots`} of ${quote(name)} ${one ? 'is' : 'are'} of a machine of this name with another engine or state folder, and not counted as this one’s; if it is this one, installed anew: holdfast backup ${name} --take-over`;
}
