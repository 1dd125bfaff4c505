type Variables = Readonly<Record<string, string | undefined>>;

const sbin = '/usr/local/sbin:/usr/sbin:/sbin';

/**
 * What the machine's own tools go by. None of it is a secret. In a container without udev, cryptsetup waits for it for ever
 * unless DM_DISABLE_UDEV says that there is none.
 */
const plain =
  /^(?:HOME|USER|LOGNAME|TMPDIR|TZ|XDG_RUNTIME_DIR|XDG_CONFIG_HOME|XDG_CACHE_HOME|LD_LIBRARY_PATH|KRB5_CONFIG|KRB5CCNAME|BLKID_FILE|(?:DM|LIBMOUNT|MKE2FS)_[A-Z_]+)$/;

/** What opens repositories. */
const ours = /^(?:HOLDFAST|RESTIC)_(?:.*_)?PASSWORD/;

/**
 * For programs of the machine (mount, mkfs, cryptsetup, xz): little, and neither passwords nor keys of clouds. Their
 * messages are in English, as they are looked for, and they are found where a user's PATH may lack them.
 */
export function toolEnvironment(env: Variables = process.env): Record<string, string> {
  return {
    ...chosen(env, (name) => plain.test(name)),
    PATH: `${env['PATH'] ?? '/usr/bin:/bin'}:${sbin}`,
    LC_ALL: 'C',
  };
}

/**
 * For programs that the user sets up by variables of any name (ssh, rclone, a password's command, what "run" runs): all but
 * what opens repositories, which only this process needs.
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
