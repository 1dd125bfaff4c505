import { existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { mustRun, prepareRoot } from './prepare-root.ts';
import { engineAddress, testCommand } from './test-command.ts';

/**
 * The first program of a guest that has systemd as its first process, as most machines do. Units and Holdfast's state stay
 * from one start to the next, as on a machine's disk.
 *
 * node systemd-init.ts NODE EXCHANGE STAGE
 */
const [node = '', exchange = '', stage = ''] = process.argv.slice(2);
const units = '/etc/systemd/system';

const engineUnit = `[Service]
Type=notify
ExecStart=/usr/sbin/dockerd -H ${engineAddress} --data-root /disk/docker --bridge=none --iptables=false --ip6tables=false --ip-forward=false --exec-opt native.cgroupdriver=cgroupfs
KillMode=process
Delegate=yes
[Install]
WantedBy=multi-user.target
`;

/** Units that the tests' machine may have, and the guest does without. */
const masked = [
  ...['tmp.mount', 'getty.target', 'ldconfig.service', 'docker.socket', 'dbus.socket', 'dbus.service'],
  ...[
    'logind',
    'user-sessions',
    'sysusers',
    'firstboot',
    'binfmt',
    'journal-catalog-update',
    'random-seed',
  ].map((name) => `systemd-${name}.service`),
  ...['update-done', 'journal-flush', 'hibernate-clear', 'machine-id-commit', 'modules-load', 'sysctl'].map(
    (name) => `systemd-${name}.service`,
  ),
  ...[
    'systemd-hostnamed.socket',
    'systemd-creds.socket',
    'systemd-sysext.socket',
    'systemd-tmpfiles-clean.timer',
  ],
];

try {
  prepareRoot(exchange);
  keep('/disk/units', units);
  keep('/disk/holdfast', '/var/lib/holdfast');
  // Generated units for the machine's own settings do not belong to the guest.
  mustRun('mount', ['-t', 'tmpfs', 'tmpfs', '/usr/lib/systemd/system-generators']);
  writeFileSync('/etc/machine-id', '0123456789abcdef0123456789abcdef\n');
  // systemd sets back a clock that is far ahead of this file.
  writeFileSync('/usr/lib/clock-epoch', '');
  // The console is for the tests.
  mkdirSync('/etc/systemd/system.conf.d', { recursive: true });
  writeFileSync('/etc/systemd/system.conf.d/guest.conf', '[Manager]\nShowStatus=no\nLogTarget=journal\n');
  if (!existsSync(join(units, 'docker.service'))) writeUnits();
  writeFileSync(join(units, 'guest-tests.service'), testsUnit());
  process.execve?.('/usr/lib/systemd/systemd', ['systemd', '--unit=multi-user.target'], {});
} catch (error) {
  console.error(error);
}
writeFileSync('/proc/sysrq-trigger', 'o');

function keep(folder: string, target: string): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  mkdirSync(target, { recursive: true });
  mustRun('mount', ['--bind', folder, target]);
}

function writeUnits(): void {
  for (const name of masked) symlinkSync('/dev/null', join(units, name));
  writeFileSync(join(units, 'docker.service'), engineUnit);
  mkdirSync(join(units, 'multi-user.target.wants'));
  for (const name of ['docker.service', 'guest-tests.service'])
    symlinkSync(join(units, name), join(units, 'multi-user.target.wants', name));
}

/** Its end shuts the machine down, in the regular way. */
function testsUnit(): string {
  const { command, cwd, env } = testCommand(node, stage);
  const variables = Object.entries(env);
  return `[Unit]
After=docker.service
[Service]
Type=oneshot
TimeoutStartSec=infinity
WorkingDirectory=${cwd}
${variables.map(([name, value]) => `Environment="${name}=${value}"`).join('\n')}
ExecStart=${command.join(' ')}
ExecStopPost=/bin/systemctl --no-block poweroff
StandardOutput=file:/dev/console
StandardError=file:/dev/console
`;
}
