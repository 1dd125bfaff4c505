import { AppError } from './errors.ts';
import { quote } from './quote.ts';

/** The longest name that a directory can have. */
const longestName = 255;

const localName = /^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/;

/**
 * Throws `usage` unless `name` follows the rule of Docker's local driver, in Docker's words. Volumes of
 * plugin drivers may have any name, so this is for creating volumes, not for finding them.
 */
export function checkVolumeName(name: string): void {
  // Docker counts bytes.
  if (Buffer.byteLength(name) === 1) {
    throw new AppError(
      'usage',
      'volume name is too short, names should be at least two alphanumeric characters',
      { hint: 'Give the volume a name of two characters or more.' },
    );
  }
  if (!localName.test(name)) {
    throw new AppError(
      'usage',
      `${quote(name)} includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path`,
    );
  }
  if (name.length > longestName) {
    throw new AppError('usage', `volume name is too long, names should be at most ${longestName} characters`);
  }
}

/** The longest suffix of a volume's name for its folder in the trash. */
const longestEnding = '.0123456789abcdef.removing';

/** For managed volumes: one with a longer name could not be moved to the trash. */
export const longestOwnName = longestName - longestEnding.length;

/** The same for a managed volume. */
export function checkOwnName(name: string): void {
  checkVolumeName(name);
  if (name.length <= longestOwnName) return;
  throw new AppError(
    'usage',
    `volume name is too long, names should be at most ${longestOwnName} characters`,
    {
      hint: 'Its folder in the trash has a longer name, and no file system has names of more than 255.',
    },
  );
}

/** True when `checkVolumeName` accepts `name`. */
export function isVolumeName(name: string): boolean {
  return name.length <= longestName && localName.test(name);
}

export function protectedError(name: string): AppError {
  return new AppError('locked', `Cannot remove volume ${quote(name)}: it is protected`, {
    hint: `Take the protection away first: "holdfast volume unprotect ${name}".`,
  });
}

/** On a trashed volume of an engine: its name there, to which it is restored. */
export const removedFromLabel = 'holdfast.removed-from-engine';

interface Labelled {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** The name before removal: the trash may have changed it slightly. */
export function nameBefore({ name, labels }: Labelled): string {
  return labels[removedFromLabel] ?? name;
}
