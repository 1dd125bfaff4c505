import { AppError } from './errors.ts';
import { quote } from './quote.ts';

/** The longest name that a directory can have. */
const longestName = 255;

const localName = /^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/;

/**
 * Throws `usage` unless `name` follows the rule of Docker's local driver, in Docker's words. Volumes of plugin
 * drivers may have any name, so this is for creating volumes, not for finding them.
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

/** True when `checkVolumeName` accepts `name`. */
export function isVolumeName(name: string): boolean {
  return name.length <= longestName && localName.test(name);
}
