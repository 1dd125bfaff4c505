import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { writeDurably } from '../lib/durable-file.ts';
import { errnoOf } from '../model/errors.ts';
import type { HostKind } from '../model/volume.ts';

/** Where `auto` found the volumes. */
export interface RememberedHost {
  readonly kind: HostKind;
  /** How an engine was reached; empty for Holdfast's own volumes. */
  readonly endpoint: string;
}

/**
 * Undefined when nothing is remembered, or what is there says nothing. A file of its own, because it must be known
 * after the catalog is lost, and a list of volumes opens no database.
 */
export async function readRememberedHost(stateDir: string): Promise<RememberedHost | undefined> {
  try {
    return parseHost(await readFile(fileIn(stateDir), 'utf8'));
  } catch (error) {
    if (['ENOENT', 'ENOTDIR', 'EACCES', 'EISDIR'].includes(errnoOf(error) ?? '')) return undefined;
    throw error;
  }
}

/** Nothing where there is no state folder, or where it takes nothing: the next command remembers it. */
export async function rememberHost(stateDir: string, { kind, endpoint }: RememberedHost): Promise<void> {
  try {
    await writeDurably(fileIn(stateDir), `${JSON.stringify({ kind, endpoint })}\n`);
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
  }
}

function parseHost(text: string): RememberedHost | undefined {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null || !('kind' in value)) return undefined;
    const { kind } = value;
    if (kind !== 'docker' && kind !== 'podman' && kind !== 'embedded') return undefined;
    return { kind, endpoint: 'endpoint' in value ? String(value.endpoint) : '' };
  } catch {
    return undefined;
  }
}

function fileIn(stateDir: string): string {
  return path.join(stateDir, 'host.json');
}
