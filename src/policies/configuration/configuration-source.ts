import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { writeDurably } from '../../lib/durable-file.ts';
import { knownError } from '../../lib/known-error.ts';
import { requireOwn } from '../../lib/own-path.ts';
import { AppError, errnoOf } from '../../model/errors.ts';
import { quote } from '../../model/quote.ts';
import {
  type ConfigurationPlace,
  type LoadedConfiguration,
  loadConfiguration,
  namesCommands,
  parseConfiguration,
} from './load-configuration.ts';

/** The configuration that a program uses. */
export interface ConfigurationSource {
  /** Reads the file, or after a `reload` returns the configuration in force. `usage` when none is usable. */
  current(): Promise<LoadedConfiguration>;
  /**
   * Reads the file and puts it in force until the next call. A file that is unusable, missing or empty leaves
   * the earlier configuration in force, after a restart as well; `problem` says so. Throws when there was
   * none before.
   */
  reload(): Promise<ReloadedConfiguration>;
  /** What `reload` would put in force now; changes nothing. */
  upcoming(): Promise<LoadedConfiguration>;
  /** Why the file as it is now could not be put in force. */
  problem(): Promise<AppError | undefined>;
  /** The configuration in force, or the last usable one: its channels report that there is none now. */
  lastUsable(): Promise<LoadedConfiguration>;
  /**
   * Keeps a copy of the configuration in force for later programs. Does nothing in a state folder that cannot
   * be written.
   */
  keep(): Promise<void>;
}

export interface ReloadedConfiguration {
  readonly configuration: LoadedConfiguration;
  readonly problem: AppError | undefined;
}

export function openConfigurationSource(place: ConfigurationPlace): ConfigurationSource {
  return new FileSource(place);
}

class FileSource implements ConfigurationSource {
  readonly #place: ConfigurationPlace;
  /** In force, or read last. */
  #current: LoadedConfiguration | undefined;
  #isInForce = false;

  constructor(place: ConfigurationPlace) {
    this.#place = place;
  }

  async current(): Promise<LoadedConfiguration> {
    if (this.#isInForce && this.#current !== undefined) return this.#current;
    return (this.#current = await loadConfiguration(this.#place));
  }

  async upcoming(): Promise<LoadedConfiguration> {
    const before = await this.#before();
    try {
      return await this.#read(before);
    } catch (error) {
      if (before === undefined) throw error;
      return before;
    }
  }

  async reload(): Promise<ReloadedConfiguration> {
    const before = await this.#before();
    try {
      const configuration = await this.#read(before);
      this.#current = configuration;
      this.#isInForce = true;
      await this.keep();
      return { configuration, problem: undefined };
    } catch (error) {
      if (before === undefined) throw error;
      this.#current = before;
      this.#isInForce = true;
      return { configuration: before, problem: knownError(error) };
    }
  }

  async problem(): Promise<AppError | undefined> {
    try {
      await this.#read(this.#current);
      return undefined;
    } catch (error) {
      return knownError(error);
    }
  }

  async lastUsable(): Promise<LoadedConfiguration> {
    try {
      return await this.current();
    } catch (error) {
      const kept = await readKept(this.#place);
      if (kept === undefined) throw error;
      return kept;
    }
  }

  async keep(): Promise<void> {
    const { file, text } = this.#current ?? {};
    if (file === undefined || text === undefined) return;
    try {
      const content = `${JSON.stringify({ file, text })}\n`;
      if ((await readFile(keptFile(this.#place), 'utf8').catch(() => '')) === content) return;
      await writeDurably(keptFile(this.#place), content);
    } catch (error) {
      if (errnoOf(error) === undefined) throw error;
    }
  }

  /** What was only read was not in force: it may be the empty file that a power cut has left. */
  async #before(): Promise<LoadedConfiguration | undefined> {
    return this.#isInForce ? this.#current : await readKept(this.#place);
  }

  async #read(before: LoadedConfiguration | undefined): Promise<LoadedConfiguration> {
    const loaded = await loadConfiguration(this.#place);
    if (before?.file === undefined) return loaded;
    if (loaded.file === undefined)
      throw new AppError('not-found', `The configuration file ${quote(before.file)} is gone`, {
        hint: 'To have no policies, leave a file there that says "policies: {}".',
      });
    const isBlank = /^(?:\s|#.*(?:\n|$))*$/.test(loaded.text ?? '');
    if (isBlank && before.policies.length > 0)
      throw new AppError('usage', `The configuration in ${quote(loaded.file)} cannot be used: it is empty`, {
        hint: 'To have no policies, write "policies: {}".',
      });
    return loaded;
  }
}

/** The configuration in force when a program last ran. Undefined also when this program cannot use it. */
async function readKept(place: ConfigurationPlace): Promise<LoadedConfiguration | undefined> {
  try {
    const content = await readFile(keptFile(place), 'utf8');
    const kept: unknown = JSON.parse(content);
    if (typeof kept !== 'object' || kept === null || !('file' in kept) || !('text' in kept)) return undefined;
    const text = String(kept.text);
    // The same check as for the file itself: its commands run as this user.
    if (await namesCommands(text)) await requireOwn(keptFile(place), 'Cannot believe the commands');
    return await parseConfiguration({ file: String(kept.file), content: text });
  } catch {
    return undefined;
  }
}

/** Each named file has a copy of its own: a copy never stands in for another file. */
function keptFile({ stateDir, configFile }: ConfigurationPlace): string {
  const of =
    configFile === undefined ? '' : `-${createHash('sha256').update(configFile).digest('hex').slice(0, 16)}`;
  return path.join(stateDir, `configuration${of}.json`);
}
