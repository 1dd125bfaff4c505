import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { AppError, errnoOf } from '../../model/errors.ts';

interface DockerContext {
  readonly name: string;
  readonly host: string;
  readonly tls: TlsMaterial | undefined;
}

/**
 * The context that `DOCKER_CONTEXT` or Docker's config file selects; undefined for the built-in "default".
 */
export function readActiveContext(
  configFolder: string,
  chosen: string | undefined,
): DockerContext | undefined {
  const name = chosen || readCurrentContext(configFolder);
  if (name === undefined || name === '' || name === 'default') return undefined;
  return readContext(configFolder, name);
}

/** Files are small, and read at once: `node:fs/promises` takes 2 ms to load, of the fifty that a command has. */
function readCurrentContext(configFolder: string): string | undefined {
  const config = readJson(join(configFolder, 'config.json'));
  const name = asRecord(config)?.['currentContext'];
  return typeof name === 'string' ? name : undefined;
}

function readContext(configFolder: string, name: string): DockerContext {
  const { createHash } = process.getBuiltinModule('node:crypto');
  const folder = createHash('sha256').update(name).digest('hex');
  const meta = readJson(join(configFolder, 'contexts', 'meta', folder, 'meta.json'));
  if (meta === undefined) {
    throw new AppError('not-found', `Cannot find the Docker context "${name}"`, {
      hint: 'Docker lists them with "docker context ls"; DOCKER_CONTEXT and "docker context use" select one.',
    });
  }
  const endpoint = asRecord(asRecord(asRecord(meta)?.['Endpoints'])?.['docker']);
  const host = endpoint?.['Host'];
  if (typeof host !== 'string' || host === '') {
    throw new AppError('usage', `The Docker context "${name}" has no address`, {
      hint: 'Mend it with "docker context update".',
    });
  }
  const tlsFolder = join(configFolder, 'contexts', 'tls', folder, 'docker');
  const verify = endpoint?.['SkipTLSVerify'] !== true;
  return {
    name,
    host,
    tls: existsSync(tlsFolder) ? readTlsFolder(tlsFolder, { verify, required: false }) : undefined,
  };
}

function readJson(path: string): unknown {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return undefined;
    throw new AppError('denied', `Cannot read "${path}"`, { detail: errnoOf(error), cause: error });
  }
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    throw new AppError('usage', `Cannot read "${path}": it is not valid JSON`, {
      hint: 'Mend the file, or set DOCKER_HOST to say which engine is meant.',
      cause: error,
    });
  }
}

function asRecord(value: unknown): Record<string, unknown> | undefined {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
}

/** Certificates for an engine over TLS, as PEM. */
export interface TlsMaterial {
  /** False accepts any certificate of the engine, as `DOCKER_TLS` without `DOCKER_TLS_VERIFY` does. */
  readonly verify: boolean;
  /** Undefined trusts the system's authorities. */
  readonly ca?: Buffer | undefined;
  readonly cert?: Buffer | undefined;
  readonly key?: Buffer | undefined;
}

interface TlsFolderOptions {
  readonly verify: boolean;
  /**
   * True makes a missing ca.pem an error: for an explicitly named folder, a typo must not weaken
   * verification.
   */
  readonly required: boolean;
}

/** Reads `ca.pem`, `cert.pem` and `key.pem`, Docker's names for them. */
export function readTlsFolder(folder: string, options: TlsFolderOptions): TlsMaterial {
  const [ca, cert, key] = ['ca.pem', 'cert.pem', 'key.pem'].map((name) => readPem(join(folder, name)));
  if (options.required && options.verify && ca === undefined) {
    throw new AppError('not-found', `Cannot find "ca.pem" in "${folder}"`, {
      hint: 'DOCKER_CERT_PATH must name a folder with ca.pem, cert.pem and key.pem.',
    });
  }
  if ((cert === undefined) !== (key === undefined)) {
    throw new AppError(
      'not-found',
      `Cannot find "${cert === undefined ? 'cert.pem' : 'key.pem'}" in "${folder}"`,
      {
        hint: 'A client certificate needs both cert.pem and key.pem.',
      },
    );
  }
  return { verify: options.verify, ca, cert, key };
}

function readPem(path: string): Buffer | undefined {
  try {
    return readFileSync(path);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return undefined;
    throw new AppError('denied', `Cannot read "${path}"`, { detail: errnoOf(error), cause: error });
  }
}
