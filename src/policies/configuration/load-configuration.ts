import { lstat, readFile, stat } from 'node:fs/promises';
import { configurationFiles, systemConfigurationFile } from '../../model/usual-places.ts';
import { AppError, errnoOf } from '../../model/errors.ts';
import { quote } from '../../model/quote.ts';
import { type Configuration, configurationShape, emptyConfiguration } from './configuration.ts';
import { type PlacedValue, readDocument } from '../../lib/read-document.ts';
import { requireOwn } from '../../lib/own-path.ts';
import { parseDocument } from 'yaml';

export interface LoadedConfiguration extends Configuration {
  /** Undefined when there is no file. */
  readonly file: string | undefined;
  /** The file's values, in its order. */
  readonly values: readonly PlacedValue[];
  readonly text?: string | undefined;
}

export interface ConfigurationPlace {
  readonly stateDir: string;
  /** The file that the user named, which must exist. */
  readonly configFile: string | undefined;
}

const mostBytes = 4 << 20;

/**
 * Reads the configuration file: the named one, else `holdfast.yaml` in the state folder, else in
 * /etc/holdfast.
 */
export async function loadConfiguration(place: ConfigurationPlace): Promise<LoadedConfiguration> {
  const found = await findFile(place);
  if (found === undefined) {
    return { ...emptyConfiguration, file: undefined, values: [] };
  }
  const loaded = await parseConfiguration(found);
  // Its commands run as this user.
  if (await namesCommands(found.content)) {
    const action = `Cannot believe the commands in ${quote(found.file)}`;
    await requireOwn(found.file, action, await moveTo(found.file, place));
  }
  return loaded;
}

/**
 * A path for root's configuration that other users cannot reach. Undefined for other users, and when a file
 * is there already, which would be overwritten.
 */
export async function moveTo(
  file: string,
  { configFile }: Pick<ConfigurationPlace, 'configFile'>,
  target: string = systemConfigurationFile,
): Promise<string | undefined> {
  if (process.geteuid?.() !== 0) return undefined;
  const found = await lstat(target).catch((error: unknown) => errnoOf(error));
  if (found !== 'ENOENT') return undefined;
  const then = configFile === undefined ? '' : `, and name it: --config ${target}`;
  return `move it to where only root can write: install -D -m 600 ${quote(file)} ${target} && rm ${quote(file)}${then}`;
}

/**
 * A reference to a command, a program or a configuration file for a repository's store, or an rclone remote
 * that is configured in its own name, as in `rclone::sftp,ssh=PROGRAM:`.
 */
const command = /\bexec:|"(?:program|config-file|ssh-config)":|"rclone:(?::|[^:"]*,)/;

/** Whether valid YAML has a command or program run as this user. */
export async function namesCommands(content: string): Promise<boolean> {
  try {
    // Parsed, not as text: a word in double quotes can hold escapes.
    return command.test(JSON.stringify(parseDocument(content).toJS()));
  } catch {
    // More aliases than the parser expands.
    return true;
  }
}

/** Parses a file's content. Throws `usage` when it is not usable. */
export async function parseConfiguration({ file, content }: FoundFile): Promise<LoadedConfiguration> {
  const read = readDocument(content, configurationShape, file);
  return { ...(read?.value ?? emptyConfiguration), file, values: read?.values ?? [], text: content };
}

interface FoundFile {
  readonly file: string;
  readonly content: string;
}

async function findFile({ stateDir, configFile }: ConfigurationPlace): Promise<FoundFile | undefined> {
  if (configFile !== undefined) {
    const content = await readIfThere(configFile);
    if (content !== undefined) return { file: configFile, content };
    throw new AppError('not-found', `There is no configuration file ${quote(configFile)}`);
  }
  for (const file of configurationFiles(stateDir)) {
    const content = await readIfThere(file);
    if (content !== undefined) return { file, content };
  }
  return undefined;
}

async function readIfThere(file: string): Promise<string | undefined> {
  try {
    const { size } = await stat(file);
    if (size > mostBytes) throw new AppError('usage', `The configuration file ${quote(file)} is too large`);
    return await readFile(file, 'utf8');
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === 'ENOENT' || errno === 'ENOTDIR') return undefined;
    if (errno === undefined) throw error;
    throw new AppError(
      errno === 'EACCES' ? 'denied' : 'failed',
      `Cannot read the configuration file ${quote(file)}`,
      {
        detail: error instanceof Error ? error.message : undefined,
        cause: error,
      },
    );
  }
}
