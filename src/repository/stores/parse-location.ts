import path from 'node:path';
import { AppError } from '../../model/errors.ts';
import type { RcloneLocation, RestLocation, S3Location, SftpLocation, StoreLocation } from './address.ts';

// oxlint-disable-next-line no-control-regex -- control characters are what it looks for
const controls = /[\0-\x1f\x7f]/;

/**
 * Parses a repository's location: a directory, `s3:https://host/bucket/prefix`, `s3:bucket/prefix`,
 * `sftp:user@host:/path`, `sftp://user@host:port/path`, `rest:https://host/path/`, `rclone:remote:path`.
 * Secrets are refused, and never repeated in a message.
 */
export function parseLocation(text: string, cwd = process.cwd()): StoreLocation {
  const scheme = /^([a-z][a-z0-9+.-]+):/i.exec(text)?.[1]?.toLowerCase();
  if (controls.test(text)) throw invalid(text, 'it holds control characters');
  if (scheme === undefined) return localLocation(text, cwd);
  const rest = text.slice(scheme.length + 1);
  if (rest === '') throw invalid(text, `nothing follows "${scheme}:"`);
  const parse = parsers[scheme];
  if (parse) return parse(rest, text);
  if (scheme === 'local') return localLocation(rest, cwd);
  throw new AppError('unsupported', `Repositories at "${scheme}:" are not supported`, {
    hint: 'Use a directory, s3:, sftp:, rest: or rclone:, which knows many more. A directory of such a name is written "./…".',
  });
}

const parsers: Readonly<Record<string, (rest: string, text: string) => StoreLocation>> = {
  s3: parseS3,
  sftp: parseSftp,
  rest: parseRest,
  rclone: parseRclone,
};

function localLocation(text: string, cwd: string): StoreLocation {
  if (text === '') throw new AppError('usage', 'The location of the repository is empty');
  const directory = path.resolve(cwd, text);
  return { kind: 'local', directory, text: directory };
}

function parseS3(rest: string, text: string): S3Location {
  const plain = rest.replace(/^\/\//, '');
  const isUrl = /^https?:\/\//i.test(plain);
  const [host = '', ...others] = plain.split('/');
  // As in restic, the first part counts as a host if it looks like one.
  const namesHost = isUrl || (/[.:]|^localhost$/.test(host) && others.length > 0);
  const url = namesHost ? parseUrl(isUrl ? plain : `https://${plain}`, text) : undefined;
  if (url) refuseLogin(url, s3Hint);
  const parts = (url ? safeDecode(url.pathname, text) : plain).split('/').filter((part) => part !== '');
  const [bucket, ...prefix] = parts;
  if (bucket === undefined) throw invalid(text, 'it names no bucket');
  if (!/^[a-zA-Z0-9][a-zA-Z0-9._-]{1,254}$/.test(bucket))
    throw invalid(text, `"${bucket}" is no name of a bucket`);
  if (parts.some((part) => part === '.' || part === '..'))
    throw invalid(text, '"." and ".." mean nothing there');
  const isAmazon = url === undefined || url.host === 's3.amazonaws.com';
  const endpoint = isAmazon ? undefined : url.origin;
  const shown = [...(endpoint === undefined ? [] : [endpoint]), bucket, ...prefix].join('/');
  return { kind: 's3', text: `s3:${shown}`, endpoint, bucket, prefix: prefix.join('/') };
}

function parseSftp(rest: string, text: string): SftpLocation {
  if (rest.startsWith('//')) return parseSftpUrl(text);
  // IPv6 addresses are in brackets.
  const found = /^(?:([^@/]*)@)?(\[[^\]/]+\]|[^:/[\]]+):(.*)$/.exec(rest);
  if (!found) throw invalid(text, 'it is written "sftp:user@host:/path"');
  const [, user, host = '', directory = ''] = found;
  return sftpLocation({ user, host, port: undefined, path: directory }, text);
}

/** As in restic, one slash ends the host: a path with a second one is absolute. */
function parseSftpUrl(text: string): SftpLocation {
  const url = parseUrl(text, text);
  if (url.password !== '') throw holdsSecret('sftp:', sftpHint);
  const user = url.username === '' ? undefined : safeDecode(url.username, text);
  const port = url.port === '' ? undefined : Number(url.port);
  return sftpLocation(
    { user, host: url.hostname, port, path: safeDecode(url.pathname, text).slice(1) },
    text,
  );
}

function sftpLocation(
  parts: Pick<SftpLocation, 'user' | 'host' | 'port' | 'path'>,
  text: string,
): SftpLocation {
  const host = parts.host.replace(/^\[(.*)\]$/, '$1');
  const { user, port } = parts;
  if (user?.includes(':')) throw holdsSecret('sftp:', sftpHint);
  if (user === '' || user?.startsWith('-') === true) throw invalid(text, 'its user is no name');
  if (!/^[a-zA-Z0-9_:][a-zA-Z0-9_.:%-]*$/.test(host)) throw invalid(text, 'its host is no name');
  const directory = normalizePath(parts.path);
  if (directory === '') throw invalid(text, 'it names no folder');
  const login = user === undefined ? '' : `${user}@`;
  const shownHost = host.includes(':') ? `[${host}]` : host;
  const shown =
    port === undefined
      ? `sftp:${login}${shownHost}:${directory}`
      : `sftp://${login}${shownHost}:${port}/${directory}`;
  return { kind: 'sftp', text: shown, user, host, port, path: directory };
}

function parseRest(rest: string, text: string): RestLocation {
  if (!/^https?:\/\//i.test(rest)) throw invalid(text, 'it is written "rest:https://host:port/path/"');
  const url = parseUrl(rest, text);
  if (url.password !== '') throw holdsSecret('rest:', restHint);
  if (url.search !== '' || url.hash !== '') throw invalid(text, '"?" and "#" mean nothing there');
  const user = url.username === '' ? undefined : safeDecode(url.username, text);
  const login = url.username === '' ? '' : `${url.username}@`;
  const folder = url.pathname.endsWith('/') ? url.pathname : `${url.pathname}/`;
  const shown = `rest:${url.protocol}//${login}${url.host}${folder}`;
  return { kind: 'rest', text: shown, url: `${url.origin}${folder}`, user };
}

function parseRclone(rest: string, text: string): RcloneLocation {
  if (!/^:?[^:/,-][^:]*:/.test(rest)) throw invalid(text, 'it is written "rclone:remote:path"');
  // The parameters of a remote given inline may include secrets.
  if (/[,:][^,:=]*(pass|secret|token|key|auth|credential)[^,:=]*=/i.test(rest))
    throw holdsSecret('rclone:', rcloneHint);
  return { kind: 'rclone', text: `rclone:${rest}`, remote: rest };
}

function parseUrl(text: string, whole: string): URL {
  try {
    return new URL(text);
  } catch {
    throw invalid(whole, 'it is no URL');
  }
}

function safeDecode(text: string, whole: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw invalid(whole, 'a "%" in it begins no character');
  }
}

/** Drops redundant slashes; a leading one stays. */
function normalizePath(text: string): string {
  if (text === '') return '';
  const normal = path.posix.normalize(text).replace(/(?<=.)\/$/, '');
  return normal;
}

const s3Hint =
  'Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a profile with AWS_PROFILE; "holdfast repo add" takes references to them.';
const restHint =
  'Set RESTIC_REST_USERNAME and RESTIC_REST_PASSWORD; "holdfast repo add" takes a reference to the password.';
const sftpHint = 'Log in with a key: ssh takes it from its agent or its configuration.';
const rcloneHint = 'Set the remote up with "rclone config", and write "rclone:name:path".';

function refuseLogin(url: URL, hint: string): void {
  if (url.username !== '' || url.password !== '') throw holdsSecret('s3:', hint);
}

function holdsSecret(scheme: string, hint: string): AppError {
  return new AppError('usage', `A location at "${scheme}" must hold no password: it is stored and shown`, {
    hint,
  });
}

/** The text may hold a secret in an unexpected place, so everything before an "@" is left out. */
function invalid(text: string, why: string): AppError {
  const shown = text.replace(/\/\/[^/]*@/, '//…@').replaceAll(new RegExp(controls, 'g'), '?');
  return new AppError('usage', `Cannot read the location "${shown}": ${why}`, {
    hint: 'See "holdfast repo add --help" for how locations are written.',
  });
}
