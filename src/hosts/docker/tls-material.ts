import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError, errnoOf } from '../../model/errors.ts';

/** Certificates for an engine over TLS, as PEM. */
export interface TlsMaterial {
  /** False accepts any certificate of the engine, as `DOCKER_TLS` without `DOCKER_TLS_VERIFY` does. */
  readonly verify: boolean;
  /** Undefined trusts the system's authorities. */
  readonly ca?: Buffer | undefined;
  readonly cert?: Buffer | undefined;
  readonly key?: Buffer | undefined;
}

export interface TlsFolderOptions {
  readonly verify: boolean;
  /** True makes a missing ca.pem an error: with a folder that somebody named, a typo must not weaken the check. */
  readonly required: boolean;
}

/** Reads `ca.pem`, `cert.pem` and `key.pem`, the names that Docker gives them. */
export async function readTlsFolder(folder: string, options: TlsFolderOptions): Promise<TlsMaterial> {
  const [ca, cert, key] = await Promise.all(
    ['ca.pem', 'cert.pem', 'key.pem'].map((name) => readPem(join(folder, name))),
  );
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

async function readPem(path: string): Promise<Buffer | undefined> {
  try {
    return await readFile(path);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return undefined;
    throw new AppError('denied', `Cannot read "${path}"`, { detail: errnoOf(error), cause: error });
  }
}
