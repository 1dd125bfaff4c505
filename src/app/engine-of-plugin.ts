import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { EngineRecord, EngineRecords } from '../hosts/engine-records.ts';
import type { ManagedVolume } from '../volumes/index.ts';
import { writeDurably } from '../lib/durable-file.ts';
import { errorInWords, knownError } from '../lib/known-error.ts';
import { errnoOf } from '../model/errors.ts';
import { parseJson } from '../model/parse-json.ts';
import { quote } from '../model/quote.ts';
import { openEngineRecords } from '../hosts/docker/index.ts';

type Environment = Readonly<Record<string, string | undefined>>;

interface Place {
  readonly stateDir: string;
  readonly env: Environment;
}

/** The engine that uses managed volumes by the plugin, and the plugin's name there. */
interface EngineOfPlugin {
  readonly driver: string;
  /** As a value of DOCKER_HOST. */
  readonly address: string;
}

/**
 * The engine's records of the plugin `driver`'s volumes. The state folder remembers that the engine uses
 * them.
 */
export async function openRecordsForPlugin({ stateDir, env }: Place, driver: string): Promise<EngineRecords> {
  const records = await openEngineRecords(env);
  let isRemembered = false;
  const seen = async (found: readonly EngineRecord[]): Promise<void> => {
    if (isRemembered || found.every((record) => record.driver !== driver)) return;
    const engine: EngineOfPlugin = { driver, address: records.address };
    await writeDurably(fileIn(stateDir), `${JSON.stringify(engine)}\n`);
    isRemembered = true;
  };
  return {
    ...records,
    async find(name, options) {
      const found = await records.find(name, options);
      if (found !== undefined) await seen([found]);
      return found;
    },
    async list(asked, options) {
      const found = await records.list(asked, options);
      await seen(found);
      return found;
    },
  };
}

/**
 * Tells the engine that uses the plugin of a managed volume that is back or has a new name, with its labels
 * and options, which the engine has forgotten. Does nothing without such an engine. A failure is a warning:
 * the volume is there.
 */
export async function makeKnownToEngine(
  { stateDir, env, onWarning }: Place & { readonly onWarning?: ((message: string) => void) | undefined },
  { name, labels, options }: ManagedVolume,
  signal?: AbortSignal,
): Promise<void> {
  const engine = await readEngineOfPlugin(stateDir);
  if (engine === undefined) return;
  // For a TCP address the environment names certificates too.
  const isSocket = engine.address.startsWith('unix://');
  try {
    await using records = await openEngineRecords(isSocket ? { ...env, DOCKER_HOST: engine.address } : env);
    const known = await records.add({ name, driver: engine.driver, labels, options }, { signal });
    if (
      known.driver === engine.driver &&
      Object.keys(labels).every((key) => known.labels[key] === labels[key])
    )
      return;
    onWarning?.(
      `Docker has heard of ${quote(name)} before it was told of its labels, and shows it without them.`,
    );
  } catch (error) {
    const why = errorInWords(knownError(error, 'The engine cannot be told'));
    onWarning?.(
      `Docker does not know the labels and options of ${quote(name)}: ${why}. The volume is there all the same.`,
    );
  }
}

async function readEngineOfPlugin(stateDir: string): Promise<EngineOfPlugin | undefined> {
  try {
    const value = parseJson(await readFile(fileIn(stateDir), 'utf8'));
    if (typeof value !== 'object' || value === null) return undefined;
    const { driver, address } = value as Record<string, unknown>;
    return typeof driver === 'string' && typeof address === 'string' ? { driver, address } : undefined;
  } catch (error) {
    if (['ENOENT', 'ENOTDIR', 'EACCES'].includes(errnoOf(error) ?? '')) return undefined;
    throw error;
  }
}

function fileIn(stateDir: string): string {
  return path.join(stateDir, 'plugin.json');
}
