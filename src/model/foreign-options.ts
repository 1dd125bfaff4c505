import { isOurDriver } from './storage-kind.ts';

interface Wanted {
  readonly driver: string;
  readonly options: Readonly<Record<string, string>>;
}

type Texts = Readonly<Record<string, string>>;

/** Options by which rclone runs programs of this machine. */
const rclonePrograms = '(?:ssh|bearer[-_]token[-_]command|password[-_]command|metadata[-_]mapper)';
const inRemote = new RegExp(`[,:.]${rclonePrograms}\\s*=`, 'i');
const inName = new RegExp(`^secret\\.(?:.*-)?${rclonePrograms}$`, 'i');

/** Options by which a command is run: for the secret that it prints, or by rclone. Pure. */
export function commandOptions(options: Texts): string[] {
  return Object.entries(options)
    .filter(
      ([key, value]) =>
        /^\s*exec:/i.test(value) || inName.test(key) || (key === 'remote' && inRemote.test(value)),
    )
    .map(([key]) => key);
}

/**
 * What a volume would reach outside of its own folder when it is made so, as `device=/etc`: another place's storage, a
 * server, a secret of this machine. Of a driver that is none of ours, every option may do that. Pure.
 */
export function reachingOptions({ driver, options }: Wanted): string[] {
  return Object.entries(options)
    .filter(([key, value]) => !isOurDriver(driver) || reaches(key, value, options))
    .map(([key, value]) => `${key}=${value}`);
}

function reaches(key: string, value: string, options: Texts): boolean {
  // The kernel gives a name such as "overlay" no meaning, but its options name folders.
  if (key === 'device') return value !== 'tmpfs' || options['type'] !== 'tmpfs';
  if (key === 'o' && /[=:,]\//.test(value)) return true;
  return (
    key === 'remote' || key === 'config' || key.startsWith('secret.') || /^\s*(?:file|env|exec):/i.test(value)
  );
}

/** Labels that are commands, by whichever tool's name for them. Pure. */
export function commandLabels(labels: Texts): string[] {
  return Object.keys(labels).filter((label) =>
    /^(?:holdfast\.hook\.|stack-back\.hooks\.|nautical-backup\.lifecycle\.|docker-volume-backup\.[a-z]+-(?:pre|post))/.test(
      label,
    ),
  );
}
