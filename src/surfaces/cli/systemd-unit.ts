export interface UnitWish {
  /** The command's path. */
  readonly program: string;
  readonly stateDir: string;
  readonly configFile: string | undefined;
}

const usualStateDir = '/var/lib/holdfast';

/** A unit for systemd that runs the daemon. What it takes away is what neither volumes nor their metadata need. */
export function systemdUnit({ program, stateDir, configFile }: UnitWish): string {
  const flags = [
    ...(stateDir === usualStateDir ? [] : ['--state-dir', stateDir]),
    ...(configFile === undefined ? [] : ['--config', configFile]),
  ];
  const command = [program, ...flags.map(quoted), 'daemon'].join(' ');
  return `[Unit]
Description=Holdfast keeps the data of containers safe
Wants=network-online.target
After=network-online.target docker.service podman.socket
RequiresMountsFor=${quoted(stateDir)}

[Service]
Type=notify
ExecStart=${command}
ExecReload=/bin/kill -HUP $MAINPID
WatchdogSec=3min
Restart=on-failure
RestartSec=15s
# A configuration that cannot be used, or a second daemon, does not get better by itself.
RestartPreventExitStatus=2 5
# What is at work has a minute to come to its end; after that it is cancelled, which brings every container back.
TimeoutStopSec=5min
KillMode=mixed
${stateDir === usualStateDir ? 'StateDirectory=holdfast\nStateDirectoryMode=0700\n' : ''}UMask=0077
Nice=10
IOSchedulingPriority=7

# It reads and writes volumes of any owner with all their metadata, sees who has files of them open, and freezes them.
CapabilityBoundingSet=CAP_DAC_OVERRIDE CAP_DAC_READ_SEARCH CAP_CHOWN CAP_FOWNER CAP_FSETID CAP_MKNOD CAP_SETFCAP CAP_LINUX_IMMUTABLE CAP_SYS_ADMIN CAP_SYS_PTRACE CAP_MAC_ADMIN
NoNewPrivileges=yes
ProtectSystem=full
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectHostname=yes
LockPersonality=yes
RestrictRealtime=yes
RestrictNamespaces=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
SystemCallArchitectures=native
SystemCallFilter=@system-service @mount
SystemCallErrorNumber=EPERM

[Install]
WantedBy=multi-user.target
`;
}

/** "%" and "$" mean something to systemd. */
function quoted(text: string): string {
  const escaped = text.replaceAll('%', '%%').replaceAll('$', '$$$$');
  return /^[\w@%+=:,./$-]+$/.test(escaped) ? escaped : `"${escaped.replace(/["\\]/g, '\\$&')}"`;
}
