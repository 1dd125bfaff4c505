/** The variable parts of a systemd unit. */
export interface UnitRequest {
  /** Of the system, or of one user (`systemctl --user`). */
  readonly scope: 'system' | 'user';
  /** The program's absolute path, and its arguments. */
  readonly command: readonly [string, ...string[]];
  /** Absolute paths that it must not start without: they may lie on disks that are mounted late. */
  readonly needs: readonly string[];
  /** Never a secret: every user of the machine can read a unit. */
  readonly variables: Readonly<Record<string, string>>;
}

/** The first line marks a unit that Holdfast wrote, and may replace. */
export const unitHeader =
  '# Made by "holdfast daemon --print-unit"; what is changed here is lost: use "systemctl edit holdfast".';

/**
 * A systemd unit that runs the daemon. It is not sandboxed, and can do what a manual command can: a mount
 * namespace would hide its mounts from containers, and a process that may talk to the engine is effectively
 * root anyway.
 */
export function unitText({ scope, command, needs, variables }: UnitRequest): string {
  const isOfMachine = scope === 'system';
  const lines = [
    unitHeader,
    '[Unit]',
    'Description=Holdfast keeps the data of containers safe',
    // Neither an engine nor a network is required: the daemon waits for both itself.
    ...(isOfMachine ? ['Wants=network-online.target'] : []),
    `After=${isOfMachine ? 'network-online.target remote-fs.target ' : ''}docker.service podman.socket`,
    ...(isOfMachine ? mountsFor(needs) : []),
    '# It never gives up: each end is followed by another start, later each time.',
    'StartLimitIntervalSec=0',
    '',
    '[Service]',
    'Type=notify',
    `ExecStart=${commandLine(command)}`,
    'ExecReload=/bin/kill -HUP $MAINPID',
    ...Object.entries(variables).map(([name, value]) => `Environment=${quoted(`${name}=${value}`)}`),
    '# Variables that not every user may read (mode 0600): credentials, proxies. %E is /etc, or ~/.config for a user.',
    'EnvironmentFile=-%E/holdfast/environment',
    'SyslogIdentifier=holdfast',
    'WatchdogSec=3min',
    'Restart=on-failure',
    'RestartSec=15s',
    'RestartSteps=6',
    'RestartMaxDelaySec=5min',
    '# What is at work has a minute to come to its end; after that it is cancelled, which brings every container back.',
    'TimeoutStopSec=5min',
    'SuccessExitStatus=143',
    '# What thaws frozen containers, and what serves the mounts that containers use, outlives the daemon.',
    'KillMode=process',
    'UMask=0077',
    'Nice=10',
    'IOSchedulingPriority=7',
    '',
    '[Install]',
    `WantedBy=${isOfMachine ? 'multi-user.target' : 'default.target'}`,
    '',
  ];
  return lines.join('\n');
}

/** The settings of a unit's daemon, as on its command line: the state folder and others. Pure. */
export function settingsOfUnit(unit: string): string {
  const line = /^ExecStart=(.*)$/m.exec(unit)?.[1] ?? '';
  return /--(?:state-dir|config|host|repo|password-file|password-command) .*$/.exec(line)?.[0] ?? 'daemon';
}

/**
 * The program's path and its arguments are parsed by different rules: "$" is special in the arguments only.
 */
function commandLine([program, ...args]: UnitRequest['command']): string {
  return [quoted(program), ...args.map((word) => quoted(word.replaceAll('$', '$$$$')))].join(' ');
}

/** This directive has no escapes, so a path with quotes or backslashes is left out. */
function mountsFor(paths: readonly string[]): string[] {
  const plain = paths.filter((path) => /^[^"'\\\p{Cc}]+$/u.test(path));
  if (plain.length === 0) return [];
  const words = plain.map((path) => path.replaceAll('%', '%%'));
  return [`RequiresMountsFor=${words.map((word) => (/\s/.test(word) ? `"${word}"` : word)).join(' ')}`];
}

/** One word, quoted for systemd. */
function quoted(text: string): string {
  const escaped = text.replaceAll('%', '%%');
  if (/^[\w@%+=:,./$-]+$/.test(escaped)) return escaped;
  const inner = escaped
    .replace(/["\\]/g, '\\$&')
    .replace(/\p{Cc}/gu, (control) =>
      [...Buffer.from(control, 'utf8')].map((byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join(''),
    );
  return `"${inner}"`;
}
