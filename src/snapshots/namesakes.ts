import { hostname } from 'node:os';
import { quote } from '../model/quote.ts';
import type { HostAccess } from '../hosts/host.ts';
import { hostIfKnown, type ListedSnapshot } from './snapshots.ts';

/** This machine's names in snapshots: its own, and its engine's when that answers. */
export async function machineNames(
  access: HostAccess,
  signal: AbortSignal | undefined,
): Promise<ReadonlySet<string>> {
  const host = await hostIfKnown(access, { signal });
  return new Set([hostname(), ...(host === undefined ? [] : [host.name])]);
}

/**
 * The snapshots of a volume by a machine of this name that do not count as this machine's; pure. A
 * reinstalled engine and a new state folder have new identities: this may be the same machine, or a copy of
 * it.
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

/** A hint on what to do about them; undefined when there are none. */
export function takeOverHint(namesakes: readonly unknown[], name: string): string | undefined {
  if (namesakes.length === 0) return undefined;
  const one = namesakes.length === 1;
  return `${one ? 'one snapshot' : `${namesakes.length} snapshots`} of ${quote(name)} ${one ? 'is' : 'are'} of a machine of this name with another engine or state folder, and not counted as this one’s; if it is this one, installed anew: holdfast backup ${name} --take-over`;
}
