import { isOurDriver } from './storage-kind.ts';

interface Wanted {
  readonly driver: string;
  readonly options: Readonly<Record<string, string>>;
}

type Texts = Readonly<Record<string, string>>;

/** Options that make rclone run local programs. */
const rclonePrograms = '(?:ssh|bearer[-_]token[-_]command|password[-_]command|metadata[-_]mapper)';
const inRemote = new RegExp(`[,:.]${rclonePrograms}\\s*=`, 'i');
const inName = new RegExp(`^secret\\.(?:.*-)?${rclonePrograms}$`, 'i');

/** Options that run a command: to print a secret, or by rclone. Pure. */
export function commandOptions(options: Texts): string[] {
  return Object.entries(options)
    .filter(
      ([key, value]) =>
        /^\s*exec:/i.test(value) || inName.test(key) || (key === 'remote' && inRemote.test(value)),
    )
    .map(([key]) => key);
}

/**
 * Options that reach outside of the volume's own folder, such as `device=/etc`: another storage, a server, a
 * secret of this machine. For an unknown driver, every option may do that. Pure.
 */
export function reachingOptions({ driver, options }: Wanted): string[] {
  return Object.entries(options)
    .filter(([key, value]) => !isOurDriver(driver) || reaches(key, value, options))
    .map(([key, value]) => `${key}=${value}`);
}

function reaches(key: string, value: string, options: Texts): boolean {
  // A name such as "overlay" means nothing to the kernel, but its options name folders.
  if (key === 'device') return value !== 'tmpfs' || options['type'] !== 'tmpfs';
  if (key === 'o' && /[=:,]\//.test(value)) return true;
  return (
    key === 'remote' || key === 'config' || key.startsWith('secret.') || /^\s*(?:file|env|exec):/i.test(value)
  );
}

/** Labels that are commands, under any tool's name for them. Pure. */
export function commandLabels(labels: Texts): string[] {
  return Object.keys(labels).filter((label) =>
    /^(?:holdfast\.hook\.|stack-back\.hooks\.|nautical-backup\.lifecycle\.|docker-volume-backup\.[a-z]+-(?:pre|post))/.test(
      label,
    ),
  );
}
