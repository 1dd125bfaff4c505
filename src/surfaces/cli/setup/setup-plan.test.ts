import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { configurationText } from './configuration-text.ts';
import { parseChannel } from './notify-spec.ts';
import { planSetup, type SetupFacts, type SetupRequest } from './setup-plan.ts';

const service = {
  path: '/etc/systemd/system/holdfast.service',
  state: { active: 'inactive', isEnabled: false, isCurrent: false },
  command: '/usr/bin/holdfast daemon',
  missingVariables: [],
  variablesFile: '/etc/holdfast/environment',
};

const bare: SetupFacts = {
  host: { kind: 'docker', endpoint: 'unix:///var/run/docker.sock', version: '26.1' },
  volumes: 2,
  bindMounts: ['/srv/site'],
  repositories: [],
  configuration: { file: undefined, newFile: '/etc/holdfast/holdfast.yaml', policies: [], channels: [] },
  service,
  sharesDiskWith: undefined,
};

const request: SetupRequest = {
  repository: '/mnt/backup',
  schedule: '30 3 * * *',
  channels: [],
};

const done: SetupFacts = {
  ...bare,
  repositories: [{ name: 'default', location: '/mnt/backup', isDefault: true }],
  configuration: {
    ...bare.configuration,
    file: '/etc/holdfast/holdfast.yaml',
    policies: [{ name: 'nightly', isScheduled: true, repositories: [''] }],
  },
  service: { ...service, state: { active: 'active', isEnabled: true, isCurrent: true } },
};

const kinds = (facts: SetupFacts, more: Partial<SetupRequest> = {}): string[] =>
  planSetup(facts, { ...request, ...more }).steps.map(({ kind }) => kind);

test('a bare machine gets every step, each after the ones that it needs', () => {
  expect(kinds(bare)).toEqual(['repository', 'configuration', 'service', 'backup']);
  const channels = [parseChannel('ntfy:https://ntfy.sh/topic')];
  expect(kinds(bare, { channels })).toEqual(['repository', 'configuration', 'notify', 'service', 'backup']);
});

test('completed steps are not repeated, with or without the flags of the first time', () => {
  for (const repository of ['/mnt/backup', 'default', undefined])
    expect(planSetup(done, { ...request, repository })).toEqual({
      steps: [{ kind: 'backup' }],
      stays: [
        'the repository "/mnt/backup"',
        'the configuration "/etc/holdfast/holdfast.yaml"',
        'the service "/etc/systemd/system/holdfast.service", which runs',
      ],
      warnings: [],
    });
});

test.each([
  ['is not running', { active: 'failed', isEnabled: true, isCurrent: true }],
  ['is not started with the machine', { active: 'active', isEnabled: false, isCurrent: true }],
  ['is of an older program', { active: 'active', isEnabled: true, isCurrent: false }],
])('a service that %s is installed again', (_why, state) => {
  expect(kinds({ ...done, service: { ...service, state } })).toEqual(['service', 'backup']);
});

test('a unit that Holdfast has not marked as its own stays, and stops no other step', () => {
  const installed = { isOwn: false, otherSettings: undefined };
  const { steps, warnings } = planSetup({ ...bare, service: { ...service, installed } }, request);
  expect(steps.map(({ kind }) => kind)).toEqual(['repository', 'configuration', 'backup']);
  expect(warnings).toEqual([expect.stringContaining('stays as it is')]);
});

test('a service that would run with other settings causes a warning', () => {
  const otherSettings = { now: '--state-dir /srv/holdfast daemon', wanted: 'daemon' };
  const installed = { isOwn: true, otherSettings };
  const { steps, warnings } = planSetup({ ...bare, service: { ...service, installed } }, request);
  expect(steps).toContainEqual({ kind: 'service', path: service.path });
  expect(warnings).toEqual([expect.stringContaining('"--state-dir /srv/holdfast daemon"')]);
});

test('an existing configuration is not changed: the plan says what to add', () => {
  const facts = { ...done, configuration: { ...done.configuration, policies: [] } };
  const channels = [parseChannel('slack:file:/etc/holdfast/slack')];
  const { steps, warnings } = planSetup(facts, { ...request, channels });
  expect(steps).toEqual([{ kind: 'backup' }]);
  expect(warnings[0]).toContain(
    'has a schedule, so nothing is backed up by itself. Add this:\n\npolicies:\n',
  );
  expect(warnings[1]).toContain("notify:\n  slack: { type: slack, url: 'file:/etc/holdfast/slack' }\n");
});

test("without systemd the plan shows the daemon's command, and installs nothing", () => {
  const facts = { ...bare, service: { ...service, state: undefined } };
  const { steps, warnings } = planSetup(facts, request);
  expect(steps.map(({ kind }) => kind)).toEqual(['repository', 'configuration', 'backup']);
  expect(warnings).toEqual([expect.stringContaining('/usr/bin/holdfast daemon')]);
  expect(planSetup({ ...bare, service: undefined }, request).warnings).toEqual([]);
});

test("a repository on the data's disk causes a warning, also an existing one", () => {
  for (const facts of [bare, done])
    expect(planSetup({ ...facts, sharesDiskWith: 'the volumes' }, request).warnings).toEqual([
      expect.stringMatching(/^The repository "\/mnt\/backup" is on the same disk as the volumes/),
    ]);
});

test('when another repository is the default, the policy names the requested one', () => {
  const facts = { ...done, configuration: bare.configuration };
  const textOf = (repository: string): unknown => {
    const step = planSetup(facts, { ...request, repository }).steps.find(
      ({ kind }) => kind === 'configuration',
    );
    return step?.kind === 'configuration' ? parse(step.text) : undefined;
  };
  expect(textOf('/mnt/other')).toMatchObject({ policies: { nightly: { repositories: '/mnt/other' } } });
  expect(textOf('/mnt/backup')).not.toMatchObject({
    policies: { nightly: { repositories: expect.anything() } },
  });
});

test('a second repository that no policy of the configuration names causes a warning', () => {
  const warningsFor = (repositories: readonly string[]): readonly string[] => {
    const policies = [{ name: 'nightly', isScheduled: true, repositories }];
    const facts = { ...done, configuration: { ...done.configuration, policies } };
    return planSetup(facts, { ...request, repository: '/mnt/other' }).warnings;
  };
  expect(warningsFor([''])).toEqual([expect.stringContaining('backs up to "/mnt/other"')]);
  expect(warningsFor(['', '/mnt/other'])).toEqual([]);
});

test('the text is valid YAML, whatever an address holds', () => {
  const hostile = `webhook:https://h/'"\\{}:#&*`;
  const text = configurationText({
    schedule: '30 3 * * *',
    repository: 'sftp:me@h:/a "b"',
    channels: [parseChannel(hostile), parseChannel('webhook:env:URL')],
  });
  expect(parse(text)).toEqual({
    policies: {
      nightly: {
        'bind-mounts': true,
        schedule: '30 3 * * *',
        keep: { daily: 7, weekly: 4, monthly: 12 },
        repositories: 'sftp:me@h:/a "b"',
      },
    },
    notify: {
      webhook: { type: 'webhook', url: hostile.slice('webhook:'.length) },
      'webhook-2': { type: 'webhook', url: 'env:URL' },
    },
  });
});

test.each(['email:me@example.com', 'https://ntfy.sh/a', 'ntfy:', 'ntfy:ftp://a', 'slack:https://a b'])(
  'the channel "%s" is refused',
  (text) => {
    expect(() => parseChannel(text)).toThrow(/Cannot read the channel/);
  },
);
