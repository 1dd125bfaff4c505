import { AppError } from './errors.ts';
import { quote } from './quote.ts';

interface KindFacts {
  /** What the option `type` says for it, as for mount(8). */
  readonly types: readonly string[];
  /** It is the same from every machine. */
  readonly isShared: boolean;
  /** The data is here, only Holdfast's volumes change it, and it stays when it is not in use. */
  readonly isMovable: boolean;
  /** A program of this machine serves it, and the mount ends with that program. */
  readonly isServed: boolean;
  /** Its option `device` is a path of this machine. */
  readonly isAtPath: boolean;
}

const plain = { isShared: false, isMovable: false, isServed: false, isAtPath: false };

/** What Docker calls `local` is a family: the option `type` says which kind is meant. Each kind has a driver. */
const storageKinds = {
  local: { ...plain, types: ['local'], isMovable: true },
  bind: { ...plain, types: ['none', 'bind'], isAtPath: true },
  tmpfs: { ...plain, types: ['tmpfs'] },
  nfs: { ...plain, types: ['nfs', 'nfs4'], isShared: true },
  cifs: { ...plain, types: ['cifs', 'smb3'], isShared: true },
  block: { ...plain, types: ['ext4', 'xfs', 'block'], isMovable: true, isAtPath: true },
  luks: { ...plain, types: ['luks'], isMovable: true, isAtPath: true },
  gocryptfs: { ...plain, types: ['gocryptfs'], isMovable: true, isServed: true },
  btrfs: { ...plain, types: ['btrfs'], isMovable: true },
  rclone: { ...plain, types: ['rclone'], isShared: true, isServed: true },
} as const satisfies Readonly<Record<string, KindFacts>>;

export type StorageKind = keyof typeof storageKinds;

/** All of them. */
export const kinds = Object.keys(storageKinds) as StorageKind[];
const kindOfType = new Map<string, StorageKind>(
  kinds.flatMap((kind) => storageKinds[kind].types.map((type): [string, StorageKind] => [type, kind])),
);

/** True for our own drivers, and Docker's of the same family, which take no other programs' options. */
export function isOurDriver(driver: string): boolean {
  return isFamily(driver) || isKind(driver);
}

/**
 * The kind of storage for a driver's name and options. For `local`, `holdfast` and no name the option `type`
 * decides. `unsupported` for an unknown driver, `usage` for an unknown type.
 */
export function storageKind(spec: {
  readonly driver: string;
  readonly options: Readonly<Record<string, string>>;
}): StorageKind {
  const { driver, options } = spec;
  if (isFamily(driver)) return kindByType(options);
  if (isKind(driver)) return driver;
  throw new AppError('unsupported', `There is no driver ${quote(driver)}`, {
    hint: `Choose from ${kinds.toSorted().join(', ')}; without a container engine, plugins of Docker are not there.`,
  });
}

export function factsOfKind(kind: StorageKind): KindFacts {
  return storageKinds[kind];
}

/** Storage that is the same from every machine. */
export function isSharedKind(kind: string): boolean {
  return isKind(kind) && storageKinds[kind].isShared;
}

function isKind(driver: string): driver is StorageKind {
  return Object.hasOwn(storageKinds, driver);
}

function isFamily(driver: string): boolean {
  return driver === '' || driver === 'local' || driver === 'holdfast';
}

function kindByType(options: Readonly<Record<string, string>>): StorageKind {
  const type = options['type'];
  if (type === undefined) return 'local';
  // btrfs is a subvolume, unless a device with the file system is given.
  if (type === 'btrfs' && options['device'] !== undefined) return 'block';
  const kind = kindOfType.get(type);
  if (kind !== undefined) return kind;
  throw new AppError('usage', `There is no type ${quote(type)} of volumes`, {
    hint: `Choose from ${[...kindOfType.keys()].toSorted().join(', ')}.`,
  });
}
