import { cleanPath, isLocalPath } from './clean-path.ts';
import { AppError } from './errors.ts';
import { quote } from './quote.ts';

/**
 * What a container mounts, and where: the common form of `-v`, `--mount`, `--tmpfs` and Compose's two
 * syntaxes.
 */
export type Mount = VolumeMount | BindMount | TmpfsMount | ImageMount | PipeMount | ClusterMount;

interface MountBase {
  /** Path inside the container, as given. `mountDestination` returns the path that the engine uses. */
  readonly target: string;
  readonly readOnly: boolean;
  /** `consistent`, `cached`, `delegated` or `default`: used only by Docker Desktop, and preserved for it. */
  readonly consistency?: string;
}

export interface VolumeMount extends MountBase {
  readonly type: 'volume';
  /** Undefined for an anonymous volume. */
  readonly source?: string;
  /** Leaves an empty volume empty instead of filling it from the image. */
  readonly noCopy: boolean;
  readonly subpath?: string;
  readonly driver?: string;
  readonly options: Readonly<Record<string, string>>;
  readonly labels: Readonly<Record<string, string>>;
  readonly selinux?: SelinuxLabel;
}

export interface BindMount extends MountBase {
  readonly type: 'bind';
  readonly source: string;
  readonly propagation?: string;
  /** Undefined: mounts below are included, and read-only where the kernel supports it. */
  readonly recursive?: 'disabled' | 'writable' | 'readonly';
  /** Creates a missing source directory, as `-v` always does. */
  readonly createSource: boolean;
  readonly selinux?: SelinuxLabel;
}

export interface TmpfsMount extends MountBase {
  readonly type: 'tmpfs';
  readonly sizeBytes?: number;
  /** Permission bits. */
  readonly mode?: number;
  /** Further mount options of `--tmpfs`: `noexec`, `uid=5`, `size=50%`. */
  readonly options: readonly string[];
}

export interface ImageMount extends MountBase {
  readonly type: 'image';
  readonly source: string;
  readonly subpath?: string;
}

/** A Windows named pipe. */
export interface PipeMount extends MountBase {
  readonly type: 'npipe';
  readonly source: string;
}

/** A CSI volume of a Swarm. */
export interface ClusterMount extends MountBase {
  readonly type: 'cluster';
  readonly source: string;
}

/** `z`: shared between containers; `Z`: private to this container. */
export type SelinuxLabel = 'z' | 'Z';

export const mountTypes: readonly Mount['type'][] = ['bind', 'volume', 'tmpfs', 'cluster', 'npipe', 'image'];

export const propagations: readonly string[] = [
  'private',
  'rprivate',
  'shared',
  'rshared',
  'slave',
  'rslave',
];

/** Throws `usage`, in the engine's words, for a mount that the engine would refuse on any machine. */
export function checkMount(mount: Mount): void {
  checkMountTarget(mount);
  const reason = reasonAgainst(mount);
  if (reason !== undefined) throw mountError(mount.type, reason);
}

/** The part of `checkMount` that the engine checks first, for every type. */
export function checkMountTarget({ type, target }: Pick<Mount, 'type' | 'target'>): void {
  const reason = targetReason(target);
  if (reason !== undefined) throw mountError(type, reason);
}

/** The engine's error for a mount of `type`. */
export function mountError(type: string, reason: string): AppError {
  return new AppError('usage', `invalid mount config for type ${quote(type)}: ${reason}`);
}

/** Throws `usage` for two mounts at one path, as the engine does. */
export function checkMountList(mounts: readonly Mount[]): void {
  const seen = new Set<string>();
  for (const mount of mounts) {
    const destination = mountDestination(mount);
    if (seen.has(destination)) throw new AppError('usage', `Duplicate mount point: ${destination}`);
    seen.add(destination);
  }
}

/** The path inside the container where the engine mounts it. */
export function mountDestination(mount: Mount): string {
  return cleanPath(mount.target);
}

/** True when both are equal, whatever the order of labels and options. */
export function sameMount(left: Mount, right: Mount): boolean {
  return canonical(left) === canonical(right);
}

function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    inner !== null && typeof inner === 'object' && !Array.isArray(inner)
      ? Object.entries(inner)
          .filter(([, entry]) => entry !== undefined)
          .toSorted(([a], [b]) => (a < b ? -1 : 1))
      : inner,
  );
}

function reasonAgainst(mount: Mount): string | undefined {
  if (mount.type === 'tmpfs') return undefined;
  if (mount.type === 'volume') return subpathReason(mount);
  if (mount.source === '') return 'field Source must not be empty';
  if (mount.type === 'image') return subpathReason(mount);
  return mount.type === 'bind' ? bindReason(mount) : undefined;
}

function targetReason(target: string): string | undefined {
  if (target === '') return 'field Target must not be empty';
  // The engine accepts `\` for `/` here, because a Windows client may have written it.
  const path = target.replaceAll('\\', '/');
  if (cleanPath(path) === '/') return `invalid specification: destination can't be '/'`;
  return path.startsWith('/') ? undefined : notAbsolute(path);
}

function notAbsolute(path: string): string {
  return `invalid mount path: '${path}' mount path must be absolute`;
}

function bindReason(mount: BindMount): string | undefined {
  if (mount.propagation !== undefined && !propagations.includes(mount.propagation)) {
    return `invalid propagation mode: ${mount.propagation}`;
  }
  const source = mount.source.replaceAll('\\', '/');
  return source.startsWith('/') ? undefined : notAbsolute(source);
}

function subpathReason(mount: VolumeMount | ImageMount): string | undefined {
  if (mount.subpath === undefined) return undefined;
  if (mount.source === undefined) return 'must not set Subpath when using anonymous volumes';
  return isLocalPath(mount.subpath) ? undefined : 'subpath must be a relative path within the volume';
}
