import { AppError } from '../../model/errors.ts';
import { cleanPath } from '../../model/clean-path.ts';

/** A prepared mount: where its data is on this machine, and where it is to be seen. */
export type PlacedMount = PlacedData | PlacedTmpfs;

export interface PlacedData {
  readonly kind: 'data';
  /** An absolute path without `..`. */
  readonly target: string;
  readonly readOnly: boolean;
  /** A path, or a descriptor of this process for one that was opened step by step. */
  readonly source: { readonly path: string } | { readonly fd: number };
  readonly isFile: boolean;
}

export interface PlacedTmpfs {
  readonly kind: 'tmpfs';
  readonly target: string;
  readonly readOnly: boolean;
  readonly sizeBytes: number | undefined;
  readonly mode: number;
}

/** What this machine has at a path; undefined for nothing. */
export interface HostEntry {
  readonly type: 'directory' | 'file' | 'link';
  readonly linkTarget?: string | undefined;
}

export interface HostView {
  entry(path: string): HostEntry | undefined;
  names(path: string): readonly string[];
}

export interface SandboxRequest {
  readonly mounts: readonly PlacedMount[];
  readonly host: HostView;
  /** Where the command starts, inside. */
  readonly workingDir: string;
  /** Whether the process is root, and keeps root's rights over files of any owner. */
  readonly isRoot: boolean;
}

export interface SandboxPlan {
  /** Arguments for bubblewrap, up to the command. */
  readonly args: readonly string[];
  /** Descriptors to pass, starting with number 3. */
  readonly fds: readonly number[];
}

/** As in a Docker container, without devices: files of any owner can be read, written and given away. */
const rootCapabilities = [
  'CAP_CHOWN',
  'CAP_DAC_OVERRIDE',
  'CAP_FOWNER',
  'CAP_FSETID',
  'CAP_KILL',
  'CAP_SETFCAP',
  'CAP_SETGID',
  'CAP_SETPCAP',
  'CAP_SETUID',
  'CAP_NET_BIND_SERVICE',
];

/** The first descriptor after stdin, stdout and stderr, on which bubblewrap reports what it started. */
export const statusFd = 3;

/**
 * The machine's own files, read-only, with the mounts in place, a private `/tmp` and `/dev`, and no other
 * process in sight. Makes nothing on the machine for a missing mount point: the directory that lacks it is
 * rebuilt inside, with the same entries. Pure.
 */
export function planSandbox({ mounts, host, workingDir, isRoot }: SandboxRequest): SandboxPlan {
  const fds: number[] = [];
  const ordered = mounts.toSorted((one, other) => depth(one.target) - depth(other.target));
  const args = ['--die-with-parent', '--unshare-pid', '--unshare-ipc', '--ro-bind', '/', '/'];
  if (isRoot) args.push(...rootCapabilities.flatMap((name) => ['--cap-add', name]));
  const shown = new Set<string>();
  const taken = new Set(ordered.map(({ target }) => target));
  if (!taken.has('/dev')) args.push('--dev', '/dev');
  if (!taken.has('/proc')) args.push('--proc', '/proc');
  if (!taken.has('/tmp')) args.push('--perms', '1777', '--tmpfs', '/tmp');
  for (const { target } of ordered) {
    const missingIn = homeOfMissing(target, { host, mounts: ordered });
    if (missingIn === undefined) continue;
    if (!shown.has(missingIn)) args.push(...showAnew(missingIn, host));
    shown.add(missingIn);
    args.push(...between(missingIn, target).flatMap((path) => ['--perms', '0755', '--dir', path]));
  }
  for (const mount of ordered) args.push(...placed(mount, fds));
  // Does not affect the mounts inside them.
  for (const path of shown) args.push('--remount-ro', path);
  for (const { kind, target, readOnly } of ordered)
    if (kind === 'tmpfs' && readOnly) args.push('--remount-ro', target);
  args.push('--chdir', workingDir);
  return { args, fds };
}

function placed(mount: PlacedMount, fds: number[]): string[] {
  if (mount.kind === 'tmpfs') {
    const size = mount.sizeBytes === undefined ? [] : ['--size', String(mount.sizeBytes)];
    return [...size, '--perms', mount.mode.toString(8).padStart(4, '0'), '--tmpfs', mount.target];
  }
  const { source, target, readOnly } = mount;
  const flag = readOnly ? '--ro-bind' : '--bind';
  if ('path' in source) return [flag, source.path, target];
  fds.push(source.fd);
  return [`${flag}-fd`, String(statusFd + fds.length), target];
}

/**
 * The machine's directory that lacks a target; undefined when the target exists, or lies in another mount.
 */
function homeOfMissing(
  target: string,
  { host, mounts }: { readonly host: HostView; readonly mounts: readonly PlacedMount[] },
): string | undefined {
  const within = mounts.some((other) => target.startsWith(`${other.target}/`));
  if (within || target.startsWith('/tmp/') || target.startsWith('/dev/')) return undefined;
  if (host.entry(target) !== undefined) return undefined;
  let parent = parentOf(target);
  while (host.entry(parent)?.type !== 'directory') {
    if (host.entry(parent) !== undefined)
      throw new AppError('usage', `Cannot mount at "${target}": "${parent}" is no directory on this machine`);
    parent = parentOf(parent);
  }
  return parent;
}

/** A directory with the same entries, and room for more. */
function showAnew(path: string, host: HostView): string[] {
  const args = ['--perms', '0755', '--tmpfs', path];
  for (const name of host.names(path)) {
    const full = cleanPath(`${path}/${name}`);
    // The private ones stay so.
    if (['/dev', '/proc', '/tmp'].includes(full)) continue;
    const entry = host.entry(full);
    if (entry?.type === 'link') args.push('--symlink', entry.linkTarget ?? '', full);
    else if (entry !== undefined) args.push('--ro-bind-try', full, full);
  }
  // A new root hides what was put into the old one.
  return path === '/'
    ? [...args, '--dev', '/dev', '--proc', '/proc', '--perms', '1777', '--tmpfs', '/tmp']
    : args;
}

/** The directories between one and the other, exclusive. */
function between(from: string, to: string): string[] {
  const paths: string[] = [];
  for (let path = parentOf(to); path !== from; path = parentOf(path)) paths.unshift(path);
  return paths;
}

function parentOf(path: string): string {
  const parent = path.slice(0, path.lastIndexOf('/'));
  return parent === '' ? '/' : parent;
}

function depth(path: string): number {
  return path.split('/').length;
}
