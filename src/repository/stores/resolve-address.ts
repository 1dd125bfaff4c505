import { readFile } from 'node:fs/promises';
import { parseDuration } from '../../model/duration.ts';
import { AppError, errnoOf } from '../../model/errors.ts';
import { parseSize } from '../../model/size.ts';
import type {
  ObjectLock,
  ProxySettings,
  RestLocation,
  S3Credentials,
  S3Location,
  S3Settings,
  StoreAddress,
  StoreLocation,
  StoreTuning,
  TlsSettings,
} from './address.ts';
import { newPaceState, type PaceState } from './pace.ts';
import { readAwsSettings } from './s3/s3-credentials.ts';
import { regionOfHost } from './s3/s3-endpoint.ts';
import { checkStoreOptions, type StoreOptionValues } from './store-options.ts';

type Environment = Readonly<Record<string, string | undefined>>;

export interface ResolveOptions {
  readonly env: Environment;
  readonly values: StoreOptionValues;
  /** Resolves a reference to a secret (`file:`, `env:`, `exec:`). */
  readonly readSecret: (reference: string) => Promise<string>;
}

/**
 * Turns a repository's location into an address to open: finds credentials, reads certificates, and checks
 * the options.
 */
export async function resolveAddress(
  location: StoreLocation,
  options: ResolveOptions,
): Promise<StoreAddress> {
  const { values } = options;
  checkStoreOptions(location.kind, values);
  const tuning = resolveTuning(options);
  switch (location.kind) {
    case 'local':
      // No retries for a local disk, and no cache, which would be no nearer.
      return { kind: 'local', directory: location.directory, ...tuning, retry: undefined, cacheBytes: 0 };
    case 's3':
      return {
        ...location,
        ...(await resolveS3(location, options)),
        ...(await resolveNetwork(options)),
        ...tuning,
      };
    case 'rest':
      return {
        ...location,
        ...(await resolveRest(location, options)),
        ...(await resolveNetwork(options)),
        ...tuning,
      };
    case 'sftp':
      return {
        ...location,
        configFile: values['ssh-config'],
        identityFile: values['identity-file'],
        ...tuning,
      };
    case 'rclone':
      return {
        ...location,
        program: values['program'] ?? 'rclone',
        configFile: values['config-file'],
        ...tuning,
      };
  }
}

const defaultRetryMs = 15 * 60_000;
const firstRetryMs = 10_000;
const defaultCacheBytes = 2 * 1024 ** 3;

function resolveTuning({ values }: ResolveOptions): StoreTuning {
  const deadlineMs = values['retry-for'] === undefined ? defaultRetryMs : parseDuration(values['retry-for']);
  return {
    connections:
      values['connections'] === undefined ? undefined : parseCount('connections', values['connections']),
    upload: paceOf('limit-upload', values),
    download: paceOf('limit-download', values),
    retry: { deadlineMs, firstDeadlineMs: Math.min(firstRetryMs, deadlineMs) },
    cacheBytes: values['cache-size'] === undefined ? defaultCacheBytes : parseSize(values['cache-size']),
  };
}

function paceOf(name: string, values: StoreOptionValues): PaceState | undefined {
  const value = values[name];
  if (value === undefined) return undefined;
  const bytesPerSecond = parseSize(value.replace(/\/s$/, ''));
  if (bytesPerSecond < 1024)
    throw new AppError('usage', `The option "${name}" is too small: nothing would ever get done`);
  return newPaceState(bytesPerSecond);
}

function parseCount(name: string, text: string): number {
  if (/^[1-9]\d{0,2}$/.test(text)) return Number(text);
  throw new AppError('usage', `The option "${name}" is a number from 1 to 999, and not "${text}"`);
}

const defaultPartBytes = 64 * 1024 ** 2;
const minPartBytes = 5 * 1024 ** 2;

async function resolveS3(
  location: S3Location,
  { env, values, readSecret }: ResolveOptions,
): Promise<S3Settings> {
  const aws = await readAwsSettings({ env, profile: values['profile'] });
  const hostRegion =
    location.endpoint === undefined ? undefined : regionOfHost(new URL(location.endpoint).hostname);
  const partBytes = values['part-size'] === undefined ? defaultPartBytes : parseSize(values['part-size']);
  if (partBytes < minPartBytes) throw new AppError('usage', 'The option "part-size" must be 5MiB or more');
  return {
    region: values['region'] ?? hostRegion ?? aws.region ?? 'us-east-1',
    pathStyle: parsePathStyle(values['path-style'] ?? 'auto'),
    credentials:
      (await referredCredentials(values, readSecret)) ?? aws.credentials ?? noCredentials(location),
    storageClass: values['storage-class'],
    objectLock: values['object-lock'] === undefined ? undefined : parseObjectLock(values['object-lock']),
    partBytes,
  };
}

async function referredCredentials(
  values: StoreOptionValues,
  readSecret: ResolveOptions['readSecret'],
): Promise<S3Credentials | undefined> {
  const { 'access-key-id': key, 'secret-access-key': secret, 'session-token': token } = values;
  if (key === undefined && secret === undefined) return undefined;
  if (key === undefined || secret === undefined) {
    throw new AppError('usage', 'The options "access-key-id" and "secret-access-key" go together');
  }
  return {
    accessKeyId: await readSecret(key),
    secretAccessKey: await readSecret(secret),
    sessionToken: token === undefined ? undefined : await readSecret(token),
  };
}

function noCredentials(location: S3Location): never {
  throw new AppError('denied', `There are no credentials for the repository "${location.text}"`, {
    hint: 'Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, name a profile with AWS_PROFILE, or give references with "holdfast repo add".',
  });
}

function parsePathStyle(text: string): S3Settings['pathStyle'] {
  if (text === 'auto' || text === 'always' || text === 'never') return text;
  throw new AppError('usage', `The option "path-style" is auto, always or never, and not "${text}"`);
}

function parseObjectLock(text: string): ObjectLock {
  const [, mode = '', duration = ''] = /^(governance|compliance):(.+)$/i.exec(text) ?? [];
  if (mode === '') {
    throw new AppError('usage', `The option "object-lock" is a mode and a time, and not "${text}"`, {
      hint: 'Write "governance:30d" or "compliance:14d". The latter cannot be shortened, not even by you.',
    });
  }
  const days = parseDuration(duration) / (24 * 60 * 60_000);
  return { mode: mode.toUpperCase() === 'COMPLIANCE' ? 'COMPLIANCE' : 'GOVERNANCE', days };
}

async function resolveRest(
  location: RestLocation,
  { env, values, readSecret }: ResolveOptions,
): Promise<{ user: string | undefined; password: string | undefined }> {
  const reference = values['password'];
  return {
    user: location.user ?? values['username'] ?? (env['RESTIC_REST_USERNAME'] || undefined),
    password:
      reference === undefined ? env['RESTIC_REST_PASSWORD'] || undefined : await readSecret(reference),
  };
}

async function resolveNetwork({
  env,
  values,
}: ResolveOptions): Promise<{ tls: TlsSettings; proxy: ProxySettings | undefined }> {
  const ca = values['ca-file'];
  const certificate = values['client-certificate-file'];
  return {
    tls: {
      ca: ca === undefined ? undefined : await readPem(ca),
      clientCertificate: certificate === undefined ? undefined : await readPem(certificate),
    },
    proxy: proxyOf(env),
  };
}

const proxyVariables = ['HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY', 'http_proxy', 'https_proxy', 'no_proxy'];

function proxyOf(env: Environment): ProxySettings | undefined {
  const set = proxyVariables.filter((name) => env[name] !== undefined && env[name] !== '');
  return set.length === 0 ? undefined : Object.fromEntries(set.map((name) => [name, env[name]]));
}

async function readPem(file: string): Promise<string> {
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    throw new AppError(
      'not-found',
      `Cannot read the certificates "${file}": ${errnoOf(error) ?? String(error)}`,
      {
        cause: error,
      },
    );
  });
  if (text.includes('-----BEGIN CERTIFICATE-----')) return text;
  throw new AppError('usage', `The file "${file}" holds no certificate in PEM`);
}
