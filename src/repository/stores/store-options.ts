import path from 'node:path';
import { AppError } from '../../model/errors.ts';
import type { StoreLocation } from './address.ts';

/** Options of a repository's store by name, as on the command line and in the catalog. */
export type StoreOptionValues = Readonly<Record<string, string>>;

type Kind = StoreLocation['kind'];

interface OptionMeaning {
  readonly kinds: readonly Kind[];
  readonly brief: string;
  /** Takes a reference (`file:`, `env:`, `exec:`), never the secret itself. */
  readonly isSecret?: boolean;
  /** The value names a file. */
  readonly isPath?: boolean;
  /** The value names a program, or a file that can name one, which runs as this user. */
  readonly isProgram?: boolean;
}

const everywhere: readonly Kind[] = ['local', 's3', 'sftp', 'rest', 'rclone'];
const remote: readonly Kind[] = ['s3', 'sftp', 'rest', 'rclone'];

/** All store options. */
export const storeOptions: Readonly<Record<string, OptionMeaning>> = {
  'limit-upload': { kinds: everywhere, brief: 'Bytes a second at most, such as "2MiB"' },
  'limit-download': { kinds: everywhere, brief: 'Bytes a second at most, such as "10MiB"' },
  connections: { kinds: remote, brief: 'Requests at once, about' },
  'retry-for': {
    kinds: remote,
    brief: 'How long a server that does not answer is tried again, such as "15m"',
  },
  'cache-size': {
    kinds: remote,
    brief: 'Room for copies of indexes and trees, such as "1GiB"; 0 keeps none',
  },
  region: { kinds: ['s3'], brief: 'Region of the bucket' },
  'path-style': { kinds: ['s3'], brief: "Where the bucket's name goes: auto, always (path) or never (host)" },
  'storage-class': { kinds: ['s3'], brief: 'Storage class, such as STANDARD_IA' },
  'object-lock': {
    kinds: ['s3'],
    brief: 'Retention of what is stored, such as "governance:30d" or "compliance:14d"',
  },
  'part-size': { kinds: ['s3'], brief: 'Larger files are sent in parts of this size, such as "64MiB"' },
  profile: { kinds: ['s3'], brief: "Profile of Amazon's credentials file" },
  'access-key-id': { kinds: ['s3'], brief: 'Reference to the access key', isSecret: true },
  'secret-access-key': { kinds: ['s3'], brief: 'Reference to its secret', isSecret: true },
  'session-token': { kinds: ['s3'], brief: 'Reference to the session token', isSecret: true },
  username: { kinds: ['rest'], brief: 'User on the server' },
  password: { kinds: ['rest'], brief: "Reference to the user's password", isSecret: true },
  'ca-file': {
    kinds: ['s3', 'rest'],
    brief: 'Certificates (PEM) that are trusted instead of the usual ones',
    isPath: true,
  },
  'client-certificate-file': {
    kinds: ['s3', 'rest'],
    brief: 'Certificate and key (PEM) that show who we are',
    isPath: true,
  },
  'ssh-config': {
    kinds: ['sftp'],
    brief: "Configuration for ssh, instead of the user's own",
    isPath: true,
    isProgram: true,
  },
  'identity-file': { kinds: ['sftp'], brief: 'Key for ssh, besides those that it knows', isPath: true },
  program: { kinds: ['rclone'], brief: 'Path of rclone', isProgram: true },
  'config-file': {
    kinds: ['rclone'],
    brief: "Configuration for rclone, instead of the user's own",
    isPath: true,
    isProgram: true,
  },
};

/**
 * True for a location or options that can run a chosen program as this user: by an option, or by an inline
 * rclone remote (`rclone::sftp,ssh=PROGRAM:`).
 */
export function namesProgram(location: StoreLocation, values: StoreOptionValues): boolean {
  if (location.kind === 'rclone' && /^(?::|[^:]*,)/.test(location.remote)) return true;
  return Object.keys(values).some((name) => storeOptions[name]?.isProgram === true);
}

const referencePattern = /^(?:file|env|exec):./s;

/**
 * Throws for an option that this kind of store does not have, and for a secret in the place of a reference.
 */
export function checkStoreOptions(kind: Kind, values: StoreOptionValues): void {
  for (const [name, value] of Object.entries(values)) {
    const meaning = Object.hasOwn(storeOptions, name) ? storeOptions[name] : undefined;
    if (!meaning?.kinds.includes(kind)) {
      const known = Object.keys(storeOptions).filter((other) => storeOptions[other]?.kinds.includes(kind));
      throw new AppError('usage', `A repository of kind "${kind}" has no option "${name}"`, {
        hint: `It has ${known.join(', ')}.`,
      });
    }
    if (value === '') throw new AppError('usage', `The option "${name}" is empty`);
    if (meaning.isSecret && !referencePattern.test(value)) {
      throw new AppError('usage', `The option "${name}" takes a reference, and not the secret itself`, {
        hint: `Write ${name}=file:/path, ${name}=env:NAME or ${name}=exec:command: it is kept in the catalog.`,
      });
    }
  }
}

/** The same options, checked, with absolute paths: they are used from other folders later. */
export function absoluteStoreOptions(
  kind: Kind,
  values: StoreOptionValues,
  { cwd, home }: { readonly cwd: string; readonly home: string | undefined },
): StoreOptionValues {
  checkStoreOptions(kind, values);
  const absolute = (file: string): string =>
    file.startsWith('~/') && home !== undefined ? path.join(home, file.slice(2)) : path.resolve(cwd, file);
  const entries = Object.entries(values).map(([name, value]) => {
    const meaning = storeOptions[name];
    if (meaning?.isSecret && value.startsWith('file:'))
      return [name, `file:${absolute(value.slice('file:'.length))}`];
    const isFile = meaning?.isPath === true || (name === 'program' && value.includes('/'));
    return [name, isFile ? absolute(value) : value];
  });
  return Object.fromEntries(entries) as StoreOptionValues;
}
