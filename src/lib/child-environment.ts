type Variables = Readonly<Record<string, string | undefined>>;

const sbin = '/usr/local/sbin:/usr/sbin:/sbin';

/**
 * Variables that the machine's own tools use, none of them secret. In a container without udev, cryptsetup
 * waits for it for ever unless DM_DISABLE_UDEV says that there is none.
 */
const plain =
  /^(?:HOME|USER|LOGNAME|TMPDIR|TZ|XDG_RUNTIME_DIR|XDG_CONFIG_HOME|XDG_CACHE_HOME|LD_LIBRARY_PATH|KRB5_CONFIG|KRB5CCNAME|BLKID_FILE|(?:DM|LIBMOUNT|MKE2FS)_[A-Z_]+)$/;

/** Variables that open repositories. */
const ours = /^(?:HOLDFAST|RESTIC)_(?:.*_)?PASSWORD/;

/**
 * For system programs (mount, mkfs, cryptsetup, xz): few variables, and neither passwords nor cloud keys.
 * Their messages are in English, because they are parsed, and they are found where a user's PATH may lack
 * them.
 */
export function toolEnvironment(env: Variables = process.env): Record<string, string> {
  return {
    ...chosen(env, (name) => plain.test(name)),
    PATH: `${env['PATH'] ?? '/usr/bin:/bin'}:${sbin}`,
    LC_ALL: 'C',
  };
}

/**
 * For programs that the user configures by variables of any name (ssh, rclone, a password command, what "run"
 * runs): all but those that open repositories, which only this process needs.
 */
export function userEnvironment(env: Variables = process.env): Record<string, string> {
  return chosen(env, (name) => !ours.test(name));
}

function chosen(env: Variables, isWanted: (name: string) => boolean): Record<string, string> {
  const entries = Object.entries(env).filter(
    (entry): entry is [string, string] => entry[1] !== undefined && isWanted(entry[0]),
  );
  return Object.fromEntries(entries);
}
