import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { enabledBy, layerLabels, noLabelSettings, speaksOf } from './label-settings.ts';
import { readLabels } from './labels.ts';

const owner = { kind: 'container', name: 'web-1' } as const;
const read = (labels: Record<string, string>): ReturnType<typeof readLabels> => readLabels(labels, owner);

test('no labels say nothing', () => {
  expect(read({ 'com.docker.compose.project': 'shop', 'traefik.enable': 'true' })).toEqual(noLabelSettings);
});

describe('holdfast labels', () => {
  test('leave a volume out, or in', () => {
    expect(read({ 'holdfast.backup': 'false' }).enabled).toBe(false);
    expect(read({ 'holdfast.enable': 'Yes' }).enabled).toBe(true);
  });

  test('choose policies, and give what holdfast.yaml gives as its texts', () => {
    const found = read({
      'holdfast.policy': 'nightly, weekly',
      'holdfast.schedule': '0 3 * * *',
      'holdfast.keep.daily': '7',
      'holdfast.keep.within-hourly': '2d',
      'holdfast.repository': 'offsite',
      'holdfast.consistency': 'two-pass',
    });
    expect(found.policies).toEqual(['nightly', 'weekly']);
    expect(found.settings).toEqual({
      schedule: '0 3 * * *',
      'keep.daily': '7',
      'keep.within-hourly': '2d',
      repositories: 'offsite',
      consistency: 'two-pass',
    });
    expect(found.warnings).toEqual([]);
  });

  test.each([
    ['true', 'stop'],
    ['false', 'run'],
    ['pause', 'pause'],
  ])('holdfast.stop=%s has the container %s', (text, stillness) => {
    expect(read({ 'holdfast.stop': text }).stillness).toBe(stillness);
  });

  test('speak of some of a container’s volumes', () => {
    const found = read({ 'holdfast.volumes': 'shop_data, uploads', 'holdfast.volumes.exclude': 'tmp' });
    expect(speaksOf(found, 'shop_data')).toBe(true);
    expect(speaksOf(found, 'shop_cache')).toBe(false);
    expect(speaksOf(found, 'uploads_tmp')).toBe(false);
    expect(speaksOf(read({}), 'anything')).toBe(true);
  });

  test('call MySQL by the name of its preset, and refuse an unknown one', () => {
    expect(read({ 'holdfast.preset': 'MySQL', 'holdfast.dump': 'true' })).toMatchObject({
      preset: 'mariadb',
      dump: true,
    });
    expect(read({ 'holdfast.preset': 'oracle' }).warnings[0]).toMatch(
      /no preset "oracle"; there are auto, none/,
    );
  });

  test('have hooks with their options, in the order of their numbers', () => {
    const { hooks, warnings } = read({
      'holdfast.hook.before.10': 'third',
      'holdfast.hook.before.2': '["sh", "-c", "echo \\"a b\\" > $FILE"]',
      'holdfast.hook.before.2.user': 'www-data',
      'holdfast.hook.before.2.timeout': '90s',
      'holdfast.hook.before.2.in': 'db',
      'holdfast.hook.before.2.on-failure': 'warn',
      'holdfast.hook.before': "php occ 'maintenance:mode' --on",
      'holdfast.hook.on-error': 'true',
    });
    expect(warnings).toEqual([]);
    expect(hooks.map(({ command }) => command)).toEqual([
      ['php', 'occ', 'maintenance:mode', '--on'],
      ['true'],
      ['sh', '-c', 'echo "a b" > $FILE'],
      ['third'],
    ]);
    expect(hooks[2]).toEqual({
      moment: 'before',
      target: 'db',
      command: ['sh', '-c', 'echo "a b" > $FILE'],
      user: 'www-data',
      timeoutMs: 90_000,
      onFailure: 'warn',
      origin: 'the label "holdfast.hook.before.2"',
    });
    expect(hooks.map(({ onFailure }) => onFailure)).toEqual(['abort', 'warn', 'warn', 'abort']);
  });

  test.each([
    ['holdfast.scedule', /did you mean "holdfast.schedule"/],
    ['holdfast.hook.befor', /did you mean "holdfast.hook.before"/],
    ['holdfast.keep.dayly', /did you mean "holdfast.keep.daily"/],
    ['holdfast.qqqqqqqqqqqq', /is not known$/],
    ['holdfast.hook.before.user', /belongs to no command/],
  ])('%s is told with the name that it may be a typo of', (label, message) => {
    expect(read({ [label]: 'x' }).warnings).toEqual([expect.stringMatching(message)]);
  });

  test.each([
    ['holdfast.backup', 'maybe'],
    ['holdfast.stop', ''],
    ['holdfast.hook.before', ''],
    ['holdfast.hook.before', 'sh -c "unclosed'],
  ])('%s=%j is told, and is no reason to have no backup', (label, value) => {
    const { warnings, ...rest } = read({ [label]: value });
    expect(warnings).toEqual([expect.stringContaining(`The label "${label}" of the container "web-1"`)]);
    expect({ ...rest, warnings: [] }).toEqual(noLabelSettings);
  });

  test('that are our own marks are not reported as unknown', () => {
    expect(read({ 'holdfast.trial': '1', 'holdfast.helper.owner': 'x' }).warnings).toEqual([]);
  });
});

describe('labels of offen/docker-volume-backup', () => {
  test('stop a container, for any backup that they name', () => {
    expect(read({ 'docker-volume-backup.stop-during-backup': 'true' }).stillness).toBe('stop');
    expect(read({ 'docker-volume-backup.stop-during-backup': 'service1' }).stillness).toBe('stop');
    expect(read({ 'docker-volume-backup.stop-during-backup': 'false' }).stillness).toBe(undefined);
  });

  test('run commands before and after, as the user that they name', () => {
    const { hooks, warnings } = read({
      'docker-volume-backup.archive-pre': `/bin/sh -c 'mysqldump --all-databases > /backups/dump.sql'`,
      'docker-volume-backup.archive-pre.user': 'git',
      'docker-volume-backup.copy-post': 'rm /backups/dump.sql',
      'docker-volume-backup.exec-label': 'database',
    });
    expect(warnings).toEqual([]);
    expect(hooks).toEqual([
      expect.objectContaining({
        moment: 'before',
        command: ['/bin/sh', '-c', 'mysqldump --all-databases > /backups/dump.sql'],
        user: 'git',
        onFailure: 'abort',
      }),
      expect.objectContaining({ moment: 'after', command: ['rm', '/backups/dump.sql'] }),
    ]);
  });

  test('without a counterpart are reported', () => {
    const { warnings, hooks } = read({
      'docker-volume-backup.process-pre': 'true',
      'docker-volume-backup.stop-during-backup-no-restart': 'true',
      'docker-volume-backup.typo': 'x',
    });
    expect(hooks).toEqual([]);
    expect(warnings).toHaveLength(3);
  });
});

describe('labels of Nautical', () => {
  test('leave containers out, let them run, and group them', () => {
    const found = read({
      'nautical-backup.enable': 'false',
      'nautical-backup.stop-before-backup': 'false',
      'nautical-backup.group': 'paperless,authentic',
    });
    expect(found).toMatchObject({ enabled: false, stillness: 'run', groups: ['paperless', 'authentic'] });
    expect(read({ 'nautical-backup.stop-before-backup': 'true' }).stillness).toBe('stop');
  });

  test('run commands with its time-outs', () => {
    const { hooks } = read({
      'nautical-backup.lifecycle.before': "echo 'Hello from the container'",
      'nautical-backup.lifecycle.before.timeout': '5',
      'nautical-backup.lifecycle.after': '/bin/sh ./script.sh',
      'nautical-backup.lifecycle.after.timeout': '0',
    });
    expect(hooks).toMatchObject([
      { moment: 'before', command: ['echo', 'Hello from the container'], timeoutMs: 5000, onFailure: 'warn' },
      { moment: 'after', timeoutMs: 86_400_000 },
    ]);
    expect(read({ 'nautical-backup.lifecycle.after': 'x' }).hooks).toMatchObject([{ timeoutMs: 60_000 }]);
  });

  test('about unsupported features are reported', () => {
    const { warnings } = read({
      'nautical-backup.curl.before': 'curl https://example.org',
      'nautical-backup.rsync-custom-args': '--delete',
    });
    expect(warnings).toHaveLength(2);
  });
});

describe('labels of stack-back', () => {
  test('choose volumes by parts of their names', () => {
    const found = read({
      'stack-back.volumes': 'true',
      'stack-back.volumes.include': 'media,files',
      'stack-back.volumes.exclude': 'cache',
      'stack-back.volumes.stop-during-backup': 'True',
    });
    expect(found).toMatchObject({
      enabled: true,
      volumes: { include: ['media', 'files'], exclude: ['cache'] },
      stillness: 'stop',
    });
  });

  test('dump databases, and leave dumps out', () => {
    expect(read({ 'stack-back.postgres': 'true' })).toMatchObject({
      preset: 'postgresql',
      dump: true,
      enabled: true,
    });
    expect(read({ 'stack-back.mysql': 'true' })).toMatchObject({ preset: 'mariadb', dump: true });
    const out = read({ 'stack-back.mysql': 'False', 'stack-back.volumes': 'False' });
    expect(out).toMatchObject({ enabled: false, dump: false });
  });

  test('run hooks at four moments, in services of the stack', () => {
    const { hooks, warnings } = read({
      'stack-back.hooks.pre.2.cmd': 'second',
      'stack-back.hooks.pre.1.cmd': 'first',
      'stack-back.hooks.pre.1.context': 'web',
      'stack-back.hooks.pre.1.on-error': 'continue',
      'stack-back.hooks.finally.1.cmd': 'last',
      'stack-back.hooks.error.1.cmd': 'sad',
    });
    expect(warnings).toEqual([]);
    const before = hooks.filter(({ moment }) => moment === 'before');
    expect(before).toMatchObject([
      { command: ['first'], target: 'web', onFailure: 'warn' },
      { command: ['second'], target: undefined, onFailure: 'abort' },
    ]);
    expect(hooks.map(({ moment }) => moment).toSorted()).toEqual(['after', 'before', 'before', 'on-error']);
  });
});

test('our own labels take precedence over those of others, and hooks of both count', () => {
  const found = read({
    'holdfast.stop': 'pause',
    'docker-volume-backup.stop-during-backup': 'true',
    'holdfast.hook.before': 'ours',
    'docker-volume-backup.archive-pre': 'theirs',
  });
  expect(found.stillness).toBe('pause');
  expect(found.hooks.map(({ command }) => command[0])).toEqual(['ours', 'theirs']);
});

test('the weaker labels fill the gaps of the stronger', () => {
  const volume = { ...noLabelSettings, settings: { schedule: '@daily' } };
  const container = { ...noLabelSettings, dump: true, settings: { schedule: '@hourly', jitter: '5m' } };
  expect(layerLabels(volume, container)).toMatchObject({
    dump: true,
    settings: { schedule: '@daily', jitter: '5m' },
  });
});

test('containers leave a volume out only when all of them do, and the volume itself decides first', () => {
  const [out, into, silent] = [{ 'nautical-backup.enable': 'false' }, { 'holdfast.backup': 'true' }, {}].map(
    read,
  );
  if (!out || !into || !silent) throw new Error('There are three');
  expect(enabledBy(silent, [out, silent], 'pg')).toBe(undefined);
  expect(enabledBy(silent, [out, out], 'pg')).toBe(false);
  expect(enabledBy(silent, [out, into], 'pg')).toBe(true);
  expect(enabledBy(silent, [], 'pg')).toBe(undefined);
  expect(enabledBy(out, [into], 'pg')).toBe(false);
  const elsewhere = read({ 'stack-back.volumes': 'false', 'stack-back.volumes.include': 'media' });
  expect(enabledBy(silent, [elsewhere], 'pg')).toBe(undefined);
});

test('labels of any text never throw', () => {
  const names = ['holdfast.', 'docker-volume-backup.', 'nautical-backup.', 'stack-back.'];
  const tails = [
    'hook.before',
    'hook.before.1',
    'stop',
    'archive-pre',
    'lifecycle.before',
    'hooks.pre.1.cmd',
    'preset',
  ];
  const label = fc.tuple(fc.constantFrom(...names), fc.oneof(fc.constantFrom(...tails), fc.string()));
  fc.assert(
    fc.property(
      fc.dictionary(
        label.map((parts) => parts.join('')),
        fc.string(),
      ),
      (labels) => {
        expect(Array.isArray(read(labels).warnings)).toBe(true);
      },
    ),
  );
});
