import { AppError } from '../model/errors.ts';
import { quote } from '../model/quote.ts';
import type { DriverVolume } from './driver.ts';
import { checkOptions, type Options } from './mount-options.ts';
import { parseMode } from '../lib/ownership.ts';

const known = [
  'remote',
  'config',
  'cache',
  'cache-size',
  'read-only',
  'uid',
  'gid',
  'umask',
  'dir-cache-time',
];
const cacheModes = ['off', 'minimal', 'writes', 'full'];

/** Secrets are resolved from references and passed in rclone's variables. */
const secretPrefix = 'secret.';

export function checkRclone(options: Options): Options {
  const secrets = Object.keys(options).filter((key) => key.startsWith(secretPrefix));
  const rest = Object.fromEntries(Object.entries(options).filter(([key]) => !secrets.includes(key)));
  checkOptions(rest, { kind: 'rclone', known, required: ['remote'] });
  for (const key of secrets) checkSecret(key, options[key] ?? '');
  const remote = options['remote'] ?? '';
  if (!remote.includes(':')) {
    throw new AppError('usage', `invalid value for option "remote": ${quote(remote)} names no remote`, {
      hint: 'Write it as rclone does: "name:bucket/path" of its configuration, or ":s3,provider=AWS,region=eu-west-1:bucket/path".',
    });
  }
  if (/(?:secret_access_key|pass|password|token|key_pem|secret)=/i.test(remote)) {
    throw new AppError(
      'usage',
      'option "remote" holds a secret, which everybody who can list volumes would see',
      {
        hint: "Name it by reference: -o secret.s3-secret-access-key=file:/path, or keep it in rclone's configuration.",
      },
    );
  }
  checkWords(options);
  return options;
}

function checkSecret(key: string, reference: string): void {
  if (!/^secret\.[a-z0-9-]+$/.test(key)) {
    throw new AppError('usage', `invalid option: ${quote(key)}`, {
      hint: "Write it like rclone's own flag without its dashes: secret.s3-access-key-id, secret.sftp-pass.",
    });
  }
  if (/^(?:file:\/|env:[A-Za-z_]|exec:\S)/.test(reference)) return;
  throw new AppError('usage', `option ${quote(key)} is not a reference`, {
    hint: 'Say where the secret is: file:/path, env:NAME or exec:COMMAND. The secret itself does not belong here.',
  });
}

function checkWords(options: Options): void {
  const { cache, umask } = options;
  if (cache !== undefined && !cacheModes.includes(cache)) {
    throw new AppError('usage', `invalid value for option "cache": ${quote(cache)}`, {
      hint: `Choose from ${cacheModes.join(', ')}.`,
    });
  }
  if (umask !== undefined) parseMode(umask);
  for (const key of ['uid', 'gid']) {
    const value = options[key];
    if (value !== undefined && !/^\d{1,10}$/.test(value))
      throw new AppError('usage', `invalid value for option ${quote(key)}: ${quote(value)} is not a number`);
  }
}

export function rcloneRemote(options: Options): string {
  return options['remote'] ?? '';
}

/** rclone also reads each flag from a variable. */
export async function rcloneEnvironment(
  options: Options,
  secret: (reference: string) => Promise<Uint8Array>,
): Promise<Record<string, string>> {
  // rclone refuses to start when both its own transport and the bundle of this variable are set.
  const environment: Record<string, string> = { AWS_CA_BUNDLE: '' };
  for (const [key, reference] of Object.entries(options)) {
    if (!key.startsWith(secretPrefix)) continue;
    const name = `RCLONE_${key.slice(secretPrefix.length).toUpperCase().replaceAll('-', '_')}`;
    environment[name] = Buffer.from(await secret(reference)).toString('utf8');
  }
  if (options['config'] !== undefined) environment['RCLONE_CONFIG'] = options['config'];
  return environment;
}

/** The command that mounts it and leaves a daemon behind. */
export function rcloneMountArguments(
  { options, mountpoint, name }: Pick<DriverVolume, 'options' | 'mountpoint' | 'name'>,
  { cache }: { readonly cache: string },
): string[] {
  const flag = (key: string, flagName: string): string[] =>
    options[key] === undefined ? [] : [flagName, options[key] ?? ''];
  return [
    'mount',
    '--daemon',
    '--daemon-wait',
    '60s',
    '--allow-other',
    '--allow-non-empty=false',
    '--devname',
    `rclone:${name}`,
    '--cache-dir',
    cache,
    '--vfs-cache-mode',
    options['cache'] ?? 'writes',
    ...flag('cache-size', '--vfs-cache-max-size'),
    '--vfs-write-back',
    '1s',
    ...flag('dir-cache-time', '--dir-cache-time'),
    ...flag('uid', '--uid'),
    ...flag('gid', '--gid'),
    ...flag('umask', '--umask'),
    ...(options['read-only'] === undefined || options['read-only'] === 'false' ? [] : ['--read-only']),
    rcloneRemote(options),
    mountpoint,
  ];
}
