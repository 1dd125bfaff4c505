import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { writeDurably } from '../lib/durable-file.ts';
import { errnoOf } from '../model/errors.ts';
import type { HostKind } from '../model/volume.ts';

/** Where `auto` found the volumes. */
export interface RememberedHost {
  readonly kind: HostKind;
  /** The engine's address; empty for managed volumes. */
  readonly endpoint: string;
  /**
   * The engine itself said which kind it is. Earlier versions took whatever answered at Docker's address for
   * Docker.
   */
  readonly isKindSaid: boolean;
}

/**
 * Undefined when nothing valid is remembered. A file of its own, because it must survive the loss of the
 * catalog, and a list of volumes opens no database.
 */
export async function readRememberedHost(stateDir: string): Promise<RememberedHost | undefined> {
  try {
    return parseHost(await readFile(fileIn(stateDir), 'utf8'));
  } catch (error) {
    if (['ENOENT', 'ENOTDIR', 'EACCES', 'EISDIR'].includes(errnoOf(error) ?? '')) return undefined;
    throw error;
  }
}

/** Does nothing without a writable state folder: the next command remembers it. */
export async function rememberHost(
  stateDir: string,
  { kind, endpoint }: Omit<RememberedHost, 'isKindSaid'>,
): Promise<void> {
  const remembered: RememberedHost = { kind, endpoint, isKindSaid: true };
  try {
    await writeDurably(fileIn(stateDir), `${JSON.stringify(remembered)}\n`);
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
    const endpoint = 'endpoint' in value ? String(value.endpoint) : '';
    return { kind, endpoint, isKindSaid: 'isKindSaid' in value && value.isKindSaid === true };
  } catch {
    return undefined;
  }
}

function fileIn(stateDir: string): string {
  return path.join(stateDir, 'host.json');
}
