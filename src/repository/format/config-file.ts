import { randomBytes } from 'node:crypto';
import { AppError } from '../../model/errors.ts';
import { isIrreducible, randomPolynomial } from '../chunker/polynomial.ts';
import type { Sealer } from '../crypto/seal.ts';
import type { Store, StoreOptions } from '../stores/store.ts';

/** The file `config` of a repository. */
export interface RepositoryConfig {
  readonly version: number;
  /** 64 hex digits. */
  readonly id: string;
  readonly polynomial: bigint;
}

export function newConfig(polynomial: bigint = randomPolynomial()): RepositoryConfig {
  return { version: 2, id: randomBytes(32).toString('hex'), polynomial };
}

export async function saveConfig(
  store: Store,
  sealer: Sealer,
  config: RepositoryConfig,
  options?: StoreOptions,
): Promise<void> {
  const json = JSON.stringify({
    version: config.version,
    id: config.id,
    chunker_polynomial: config.polynomial.toString(16),
  });
  await store.save('config', '', sealer.seal(Buffer.from(json)), options);
}

export async function loadConfig(
  store: Store,
  sealer: Sealer,
  options?: StoreOptions,
): Promise<RepositoryConfig> {
  const sealed = await store.load('config', '', undefined, options);
  const parsed = parseConfig(sealer, sealed, store.location);
  if (parsed.version !== 2) {
    throw new AppError(
      'unsupported',
      `Repository "${store.location}" has version ${parsed.version}: only version 2 is known here`,
      {
        hint:
          parsed.version === 1
            ? 'Bring it to version 2 with restic: "restic migrate upgrade_repo_v2".'
            : 'Use a newer Holdfast for it.',
      },
    );
  }
  const polynomial = BigInt(`0x${parsed.chunker_polynomial}`);
  if (!isIrreducible(polynomial)) throw damagedConfig(store.location, 'its polynomial cannot be used');
  return { version: parsed.version, id: parsed.id, polynomial };
}

interface ConfigJson {
  readonly version: number;
  readonly id: string;
  readonly chunker_polynomial: string;
}

function parseConfig(sealer: Sealer, sealed: Buffer, location: string): ConfigJson {
  try {
    const parsed = JSON.parse(sealer.openInPlace(sealed).toString('utf8')) as ConfigJson;
    if (
      typeof parsed.version !== 'number' ||
      !/^[0-9a-f]{64}$/.test(parsed.id) ||
      !/^[0-9a-f]{14}$/.test(parsed.chunker_polynomial)
    ) {
      throw new Error('a field is missing');
    }
    return parsed;
  } catch (error) {
    throw damagedConfig(location, error);
  }
}

function damagedConfig(location: string, cause: unknown): AppError {
  return new AppError('integrity', `The config file of repository "${location}" is damaged`, {
    hint: 'Restore the file "config" from a copy of the repository: it is small and never changes.',
    cause,
  });
}
