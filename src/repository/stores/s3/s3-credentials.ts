import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { AppError, errnoOf } from '../../../model/errors.ts';
import type { S3Credentials } from '../address.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** The variables and files that Amazon's own tools read. */
export interface AwsSettings {
  readonly credentials: S3Credentials | undefined;
  readonly region: string | undefined;
}

export interface CredentialsRequest {
  readonly env: Environment;
  /** Takes precedence over AWS_PROFILE, and over keys in the environment. */
  readonly profile: string | undefined;
}

/** Credentials and region from the environment, then from `~/.aws`. */
export async function readAwsSettings({ env, profile }: CredentialsRequest): Promise<AwsSettings> {
  const region = nonEmpty(env['AWS_REGION']) ?? nonEmpty(env['AWS_DEFAULT_REGION']);
  const fromEnvironment = profile === undefined ? environmentCredentials(env) : undefined;
  if (fromEnvironment && region !== undefined) return { credentials: fromEnvironment, region };
  const chosen = profile ?? nonEmpty(env['AWS_PROFILE']);
  const name = chosen ?? 'default';
  const home = nonEmpty(env['HOME']) ?? '/';
  const credentialsFile = nonEmpty(env['AWS_SHARED_CREDENTIALS_FILE']) ?? path.join(home, '.aws/credentials');
  const configFile = nonEmpty(env['AWS_CONFIG_FILE']) ?? path.join(home, '.aws/config');
  const stored = (await readSections(credentialsFile)).get(name);
  const configured = (await readSections(configFile)).get(name === 'default' ? name : `profile ${name}`);
  if (chosen !== undefined && !stored && !configured) {
    throw new AppError('not-found', `There is no profile "${chosen}"`, {
      hint: `Look into "${credentialsFile}" and "${configFile}", and at AWS_PROFILE.`,
    });
  }
  return {
    credentials: fromEnvironment ?? sectionCredentials(stored) ?? sectionCredentials(configured),
    region: region ?? configured?.get('region') ?? stored?.get('region'),
  };
}

function environmentCredentials(env: Environment): S3Credentials | undefined {
  const accessKeyId = nonEmpty(env['AWS_ACCESS_KEY_ID']);
  const secretAccessKey = nonEmpty(env['AWS_SECRET_ACCESS_KEY']);
  if (accessKeyId === undefined && secretAccessKey === undefined) return undefined;
  if (accessKeyId === undefined || secretAccessKey === undefined) {
    const missing = accessKeyId === undefined ? 'AWS_ACCESS_KEY_ID' : 'AWS_SECRET_ACCESS_KEY';
    throw new AppError('usage', `The variable ${missing} is not set, and its other half is`);
  }
  return { accessKeyId, secretAccessKey, sessionToken: nonEmpty(env['AWS_SESSION_TOKEN']) };
}

function sectionCredentials(section: ReadonlyMap<string, string> | undefined): S3Credentials | undefined {
  const accessKeyId = section?.get('aws_access_key_id');
  const secretAccessKey = section?.get('aws_secret_access_key');
  if (!accessKeyId || !secretAccessKey) return undefined;
  return { accessKeyId, secretAccessKey, sessionToken: section?.get('aws_session_token') };
}

async function readSections(file: string): Promise<Map<string, Map<string, string>>> {
  try {
    return parseSections(await readFile(file, 'utf8'));
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return new Map();
    throw new AppError('denied', `Cannot read "${file}": ${errnoOf(error) ?? 'unknown error'}`, {
      cause: error,
    });
  }
}

/** Parses sections and their fields, as Amazon's tools write them. */
export function parseSections(text: string): Map<string, Map<string, string>> {
  const sections = new Map<string, Map<string, string>>();
  let current: Map<string, string> | undefined;
  for (const line of text.split(/\r?\n/)) {
    const header = /^\s*\[\s*([^\]]+?)\s*\]/.exec(line)?.[1];
    if (header !== undefined) {
      const name = header.replace(/\s+/g, ' ');
      current = sections.get(name) ?? new Map<string, string>();
      sections.set(name, current);
      continue;
    }
    // Indented lines belong to the field above, and are ignored.
    const [, name, value] = /^([A-Za-z_][\w-]*)\s*=\s*(.*?)\s*$/.exec(line) ?? [];
    if (name !== undefined && value !== undefined) current?.set(name.toLowerCase(), value);
  }
  return sections;
}

function nonEmpty(value: string | undefined): string | undefined {
  return value || undefined;
}
