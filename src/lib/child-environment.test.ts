import { expect, test } from 'vitest';
import { toolEnvironment, userEnvironment } from './child-environment.ts';
import { runProgram } from './run-program.ts';

const secrets = {
  HOLDFAST_PASSWORD: 'a',
  HOLDFAST_PASSWORD_COMMAND: 'b',
  HOLDFAST_NEW_PASSWORD: 'c',
  RESTIC_PASSWORD: 'd',
  RESTIC_REST_PASSWORD: 'e',
};
const clouds = { AWS_SECRET_ACCESS_KEY: 'f', RCLONE_CONFIG_X_PASS: 'g', VAULT_TOKEN: 'h' };
const usual = { HOME: '/root', PATH: '/usr/bin', TZ: 'UTC' };

test('tools of the machine get neither passwords nor keys of clouds', () => {
  expect(toolEnvironment({ ...usual, ...secrets, ...clouds })).toEqual({
    HOME: '/root',
    TZ: 'UTC',
    PATH: '/usr/bin:/usr/local/sbin:/usr/sbin:/sbin',
    LC_ALL: 'C',
  });
});

test('tools keep the variables that describe the machine', () => {
  const machine = { DM_DISABLE_UDEV: '1', MKE2FS_CONFIG: '/etc/mine.conf', KRB5CCNAME: 'FILE:/tmp/cc' };
  expect(toolEnvironment({ ...usual, ...machine })).toMatchObject(machine);
});

test('programs that the user sets up keep their own variables, and get nothing that opens repositories', () => {
  expect(userEnvironment({ ...usual, ...secrets, ...clouds })).toEqual({ ...usual, ...clouds });
});

test('a program sees its own variables, and no secret of this process', async () => {
  Object.assign(process.env, secrets, clouds);
  try {
    const { stdout } = await runProgram('env', [], { env: { GIVEN: 'yes' } });
    expect(stdout).toContain('GIVEN=yes\n');
    for (const name of Object.keys({ ...secrets, ...clouds })) expect(stdout).not.toContain(`${name}=`);
    const user = await runProgram('env', [], { isUsers: true });
    expect(user.stdout).toContain('VAULT_TOKEN=h\n');
    expect(user.stdout).not.toContain('PASSWORD');
  } finally {
    for (const name of Object.keys({ ...secrets, ...clouds })) delete process.env[name];
  }
});
