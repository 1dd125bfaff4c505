import path from 'node:path';
import type { Container } from '../../hosts/containers.ts';
import { isWithin } from '../../model/clean-path.ts';
import { ownLabels } from '../../quiesce/index.ts';
import { isOfMachine } from '../../volumes/index.ts';

/** A path that containers, or the command that makes them, need. */
export interface WantedPath {
  readonly path: string;
  /** `file` is left out where it is none; a `folder` is one that all of them only read. */
  readonly as: 'file' | 'either';
  /** Nothing is missing where it is not there. */
  readonly isOptional: boolean;
}

/** What the labels of Compose say of where a stack was made. */
export interface ComposePlace {
  readonly files: readonly string[];
  readonly folder: string | undefined;
}

/**
 * What containers mount of the machine, besides volumes and what lies in `taken`: a folder that one of them can write to holds
 * data, and is a file's place only. What is of the machine (sockets, the clock's zone) is none of theirs. Pure.
 */
export function mountedPaths(containers: readonly Container[], taken: readonly string[]): WantedPath[] {
  const writable = new Map<string, boolean>();
  for (const { mounts } of containers)
    for (const { type, source, readOnly } of mounts) {
      if (type !== 'bind' || source === undefined || !path.isAbsolute(source)) continue;
      if (isOfMachine(source) || taken.some((folder) => isWithin(source, folder))) continue;
      writable.set(source, (writable.get(source) ?? false) || !readOnly);
    }
  return [...writable].map(([source, isWritten]) => ({
    path: source,
    as: isWritten ? 'file' : 'either',
    isOptional: false,
  }));
}

/** Those of these paths that one of all containers can write to by themselves: what is in them may be data. Pure. */
export function writablePaths(paths: readonly string[], containers: readonly Container[]): string[] {
  const written = new Set(
    containers.flatMap(({ mounts }) =>
      mounts.flatMap(({ type, source, readOnly }) => (type === 'bind' && !readOnly ? (source ?? []) : [])),
    ),
  );
  return paths.filter((one) => written.has(one));
}

/** Where Compose made them. Labels that their images bring along count for nothing. Pure. */
export function composePlace(containers: readonly Container[]): ComposePlace {
  const files = new Set<string>();
  let folder: string | undefined;
  for (const container of containers) {
    const labels = ownLabels(container);
    const named = ['config_files', 'environment_file'].flatMap(
      (name) => labels[`com.docker.compose.project.${name}`]?.split(',') ?? [],
    );
    for (const file of named) if (path.isAbsolute(file)) files.add(path.normalize(file));
    const said = labels['com.docker.compose.project.working_dir'];
    if (said !== undefined && path.isAbsolute(said)) folder ??= path.normalize(said);
  }
  return { files: [...files], folder };
}
