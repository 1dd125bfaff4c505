import path from 'node:path';
import type { Container } from '../../hosts/containers.ts';
import type { ConfigRecord } from '../../model/snapshot.ts';
import type { Volume } from '../../model/volume.ts';
import { isWithin } from '../../model/clean-path.ts';
import type { ConfigFile } from '../../repository/index.ts';
import { ownStack, placesOf } from '../../quiesce/index.ts';
import { isOfMachine } from '../../volumes/index.ts';
import { composeReferences } from './compose-references.ts';
import { ConfigReader } from './read-files.ts';
import { composePlace, mountedPaths, writablePaths } from './wanted-files.ts';

/** The files that a volume's containers need, for its snapshot. */
export interface CollectedConfig {
  readonly files: readonly ConfigFile[];
  readonly record: ConfigRecord;
}

export interface ConfigSearch {
  readonly volume: Pick<Volume, 'name' | 'stack'>;
  readonly containers: readonly Container[];
  readonly volumes: readonly Volume[];
  /** Holdfast's state folder, whose keys must not get into a repository. */
  readonly stateDir: string;
}

/** How deep Compose files may include each other. */
const deepest = 5;

/**
 * The small files of this machine that a volume's containers, or all containers of its stack, need to run:
 * what they mount, the Compose files that made them, and what those name. Undefined where there are no such
 * files to look for.
 */
export async function collectConfig({
  volume,
  containers,
  volumes,
  stateDir,
}: ConfigSearch): Promise<CollectedConfig | undefined> {
  const users = containers.filter((container) => needs(container, volume));
  if (users.length === 0) return undefined;
  const reader = new ConfigReader();
  const place = composePlace(users.filter((user) => isOfStack(user, volume)));
  // What containers keep in volumes is saved with those.
  const taken = [stateDir, ...volumes.flatMap(placesOf)];
  await addCompose(reader, place, taken);
  for (const wanted of mountedPaths(users, taken)) await reader.add(wanted);
  const { saved, leftOut } = reader;
  const record = { saved, writable: writablePaths(saved, containers), leftOut };
  const isNothing = record.saved.length + record.leftOut.length === 0;
  return isNothing ? undefined : { files: reader.files, record };
}

/**
 * The record for files that are out of reach: where a volume is reached only through the engine, the files of
 * its machine are not here. Pure.
 */
export function notHere(
  volume: ConfigSearch['volume'],
  containers: readonly Container[],
): CollectedConfig | undefined {
  const users = containers.filter((container) => needs(container, volume));
  const { files } = composePlace(users.filter((user) => isOfStack(user, volume)));
  const wanted = [...files, ...mountedPaths(users, []).map((one) => one.path)];
  if (wanted.length === 0) return undefined;
  const reason = 'the engine’s files cannot be read from here';
  return { files: [], record: { saved: [], leftOut: wanted.map((one) => ({ path: one, reason })) } };
}

function needs(container: Container, volume: ConfigSearch['volume']): boolean {
  const isMounted = container.mounts.some(({ type, source }) => type === 'volume' && source === volume.name);
  return isMounted || isOfStack(container, volume);
}

function isOfStack(container: Container, { stack }: ConfigSearch['volume']): boolean {
  return stack !== undefined && ownStack(container) === stack;
}

async function addCompose(
  reader: ConfigReader,
  { files, folder }: ReturnType<typeof composePlace>,
  taken: readonly string[],
): Promise<void> {
  // The machine's own files would be rolled back with the stack, or carried to another machine.
  const isElsewhere = (one: string): boolean =>
    isOfMachine(one) || taken.some((place) => isWithin(one, place));
  const seen = new Set<string>();
  const look = async (compose: readonly string[], depth: number): Promise<void> => {
    for (const file of compose) {
      if (seen.has(file)) continue;
      seen.add(file);
      const content = await reader.add({ path: file, as: 'file', isOptional: false });
      if (content === undefined || !/\.ya?ml$/i.test(file)) continue;
      const {
        files: named,
        composeFiles,
        unknown,
      } = composeReferences(
        content.toString('utf8'),
        // What an included file names is relative to that file.
        depth === 0 ? (folder ?? path.dirname(file)) : path.dirname(file),
      );
      for (const one of unknown)
        reader.leftOut.push({ path: one, reason: `only Compose knows what it stands for in "${file}"` });
      const here = named.filter((one) => !isElsewhere(one));
      for (const one of here)
        if (!composeFiles.includes(one)) await reader.add({ path: one, as: 'file', isOptional: false });
      const included = here.filter((one) => composeFiles.includes(one));
      if (depth < deepest) await look(included, depth + 1);
    }
  };
  await look(files, 0);
  // Compose reads it unasked.
  if (folder !== undefined)
    await reader.add({ path: path.join(folder, '.env'), as: 'file', isOptional: true });
}

/** True when what a container mounts from the machine is in a snapshot. Pure. */
export function isSavedConfig({ saved }: ConfigRecord, source: string): boolean {
  return saved.some((one) => isWithin(source, one));
}
