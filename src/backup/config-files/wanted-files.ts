import path from 'node:path';
import type { Container } from '../../hosts/containers.ts';
import { isWithin } from '../../model/clean-path.ts';
import { ownLabels } from '../../quiesce/index.ts';
import { isOfMachine } from '../../volumes/index.ts';

/** A path that containers, or the command that makes them, need. */
export interface WantedPath {
  readonly path: string;
  /** `file` is left out if it is no file; `folder` is one that all of them only read. */
  readonly as: 'file' | 'either';
  /** Its absence is not reported. */
  readonly isOptional: boolean;
}

/** Where a stack was made, from Compose's labels. */
export interface ComposePlace {
  readonly files: readonly string[];
  readonly folder: string | undefined;
}

/**
 * What containers mount from the machine, besides volumes and what lies in `taken`. A path that one of them can
 * write to counts only if it is a file: a folder then holds data. What belongs to the machine (sockets, the
 * clock's zone) is left out. Pure.
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

/** Those paths that some container can write to through its own mounts: they may hold data. Pure. */
export function writablePaths(paths: readonly string[], containers: readonly Container[]): string[] {
  const written = new Set(
    containers.flatMap(({ mounts }) =>
      mounts.flatMap(({ type, source, readOnly }) => (type === 'bind' && !readOnly ? (source ?? []) : [])),
    ),
  );
  return paths.filter((one) => written.has(one));
}

/** Where Compose made them. Labels from their images do not count. Pure. */
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
