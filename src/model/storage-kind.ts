import { AppError } from './errors.ts';
import { quote } from './quote.ts';

/** What Docker calls `local` is a family: the option `type` says what it is, as for mount(8). Each kind has a driver. */
const typesOfKind = {
  local: ['local'],
  bind: ['none', 'bind'],
  tmpfs: ['tmpfs'],
  nfs: ['nfs', 'nfs4'],
  cifs: ['cifs', 'smb3'],
  block: ['ext4', 'xfs', 'block'],
  luks: ['luks'],
  gocryptfs: ['gocryptfs'],
  btrfs: ['btrfs'],
  rclone: ['rclone'],
} as const satisfies Readonly<Record<string, readonly string[]>>;

export type StorageKind = keyof typeof typesOfKind;

const kinds = Object.keys(typesOfKind) as StorageKind[];
const kindOfType = new Map<string, StorageKind>(
  kinds.flatMap((kind) => typesOfKind[kind].map((type): [string, StorageKind] => [type, kind])),
);

/** A driver of that name is one of ours, or Docker's own of the same family; it takes no other programs' options. */
export function isOurDriver(driver: string): boolean {
  return isFamily(driver) || isKind(driver);
}

/**
 * The kind of storage that a driver's name and options ask for. `local`, `holdfast` and no name leave it to the option
 * `type`. `unsupported` for a driver, `usage` for a type that there is none of.
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

/** Storage that is the same from every machine. */
export function isSharedKind(kind: string): boolean {
  return kind === 'nfs' || kind === 'cifs' || kind === 'rclone';
}

function isKind(driver: string): driver is StorageKind {
  return Object.hasOwn(typesOfKind, driver);
}

function isFamily(driver: string): boolean {
  return driver === '' || driver === 'local' || driver === 'holdfast';
}

function kindByType(options: Readonly<Record<string, string>>): StorageKind {
  const type = options['type'];
  if (type === undefined) return 'local';
  // btrfs is a subvolume, unless a device is named that holds the file system.
  if (type === 'btrfs' && options['device'] !== undefined) return 'block';
  const kind = kindOfType.get(type);
  if (kind !== undefined) return kind;
  throw new AppError('usage', `There is no type ${quote(type)} of volumes`, {
    hint: `Choose from ${[...kindOfType.keys()].toSorted().join(', ')}.`,
  });
}
