import { describe, expect, test } from 'vitest';
import { isAppError } from '../../model/errors.ts';
import { configurationShape } from './configuration.ts';
import { readDocument } from '../../lib/read-document.ts';

function read(text: string) {
  return readDocument(text, configurationShape, 'h.yaml')?.value;
}

function problems(text: string): string[] {
  try {
    read(text);
  } catch (error) {
    if (isAppError(error, 'usage')) return (error.detail ?? '').split('\n');
    throw error;
  }
  return [];
}

describe('the keys of a policy', () => {
  test('a minimal policy has a schedule: it covers everything, keeps everything, in the default repository', () => {
    const [policy] = read(`policies:\n  nightly:\n    schedule: '0 3 * * *'`)?.policies ?? [];
    expect(policy).toEqual({
      name: 'nightly',
      select: {
        everything: false,
        volumes: [],
        stacks: [],
        containers: [],
        bindMounts: false,
        labels: [],
        paths: [],
        except: [],
      },
      schedule: { patterns: ['0 3 * * *'], timeZone: undefined },
      jitterMs: 0,
      catchUp: true,
      consistency: 'auto',
      preset: undefined,
      dump: undefined,
      hooks: [],
      excludes: [],
      tags: [],
      keep: undefined,
      repositories: [''],
      prune: undefined,
      check: undefined,
      verify: undefined,
      drill: undefined,
    });
  });

  test('bind mounts are taken with stacks, with everything or with the rest; with volumes alone the key is refused', () => {
    const [one, two] =
      read(`policies:
  one: { stacks: shop, bind-mounts: true }
  two: { containers: 'web-*' }`)?.policies ?? [];
    expect(one?.select).toMatchObject({ stacks: ['shop'], bindMounts: true });
    expect(two?.select).toMatchObject({ containers: ['web-*'], bindMounts: false });
    expect(problems('policies: { a: { volumes: pg, bind-mounts: true } }')).toEqual([
      expect.stringMatching(/1:\d+.*"bind-mounts" says nothing here/),
    ]);
  });

  test('defaults fill in missing keys, and a policy with keep rules prunes weekly unless it says otherwise', () => {
    const [one, two] =
      read(`
defaults: { time-zone: Europe/Berlin, jitter: 30m, keep: { daily: 7, within: 14d }, repositories: [a, b] }
policies:
  one: { schedule: '@daily', volumes: 'pg-*', check: '@weekly' }
  two: { schedule: ['@hourly', '0 3 * * *'], time-zone: UTC, catch-up: false, prune: never, keep: { last: unlimited },
         verify: { schedule: '@monthly', read-data: 10% }, repositories: c }
`)?.policies ?? [];
    expect(one).toMatchObject({
      schedule: { patterns: ['@daily'], timeZone: 'Europe/Berlin' },
      jitterMs: 1_800_000,
      keep: { rules: { count: { daily: 7 }, within: { days: 14 } }, verified: 1 },
      repositories: ['a', 'b'],
      select: { volumes: ['pg-*'] },
      prune: { patterns: ['0 5 * * 0'], timeZone: 'Europe/Berlin' },
      check: { percent: 0 },
    });
    expect(two).toMatchObject({
      schedule: { patterns: ['@hourly', '0 3 * * *'], timeZone: 'UTC' },
      catchUp: false,
      keep: { rules: { last: Infinity } },
      repositories: ['c'],
      prune: undefined,
      verify: { percent: 10 },
    });
  });
});

test('hooks are commands in containers, by phase; a failing hook after the backup does not fail it', () => {
  const [policy] =
    read(`
policies:
  a:
    schedule: '@daily'
    preset: mysql
    dump: true
    hooks:
      before: [{ in: db, command: 'psql -c "CHECKPOINT"', user: postgres, timeout: 1m }]
      after: [{ in: db, command: [touch, /tmp/a b] }]
`)?.policies ?? [];
  expect(policy).toMatchObject({
    preset: 'mariadb',
    dump: true,
    hooks: [
      {
        moment: 'before',
        target: 'db',
        command: ['psql', '-c', 'CHECKPOINT'],
        user: 'postgres',
        timeoutMs: 60_000,
        onFailure: 'abort',
      },
      { moment: 'after', command: ['touch', '/tmp/a b'], onFailure: 'abort' },
    ],
  });
  expect(problems(`policies: { a: { hooks: { before: [{ command: x }] } } }`)).toEqual([
    'h.yaml:1:36: policies.a.hooks.before.0 needs "in"',
  ]);
});

describe('errors', () => {
  test('are all reported together, each with line and column', () => {
    expect(
      problems(`polices: {}
policies:
  nightly:
    schedule: '61 3 * * *'
    jitter: 30
    consistency: maybe
    keep: { dayly: 7 }
    paths: [relative]
    repositories:
  'bad name': { schedule: '@daily' }
repositories:
  a: { password: hunter2 }
`),
    ).toEqual([
      'h.yaml:1:1: polices is not known here: did you mean "policies"?',
      expect.stringMatching(/^h.yaml:4:15: policies.nightly.schedule Cannot read the schedule "61 3/),
      'h.yaml:5:13: policies.nightly.jitter must be a text: write "30"',
      'h.yaml:6:18: policies.nightly.consistency must be one of auto, freeze, two-pass, pause, stop, live',
      'h.yaml:7:13: policies.nightly.keep.dayly is not known here: did you mean "daily"?',
      expect.stringMatching(/^h.yaml:7:11: policies.nightly.keep keeps nothing/),
      'h.yaml:8:13: policies.nightly.paths.0 must be an absolute path',
      'h.yaml:9:18: policies.nightly.repositories must be a text',
      'h.yaml:10:3: policies.bad name is no name for a policy: use letters, digits, "-" and "_"',
      'h.yaml:12:18: repositories.a.password must be a reference: file:/PATH, env:NAME or exec:COMMAND',
      'h.yaml:12:6: repositories.a needs "location"',
    ]);
  });

  test('cover malformed YAML, duplicate keys, and documents of another kind', () => {
    expect(problems('policies: [')).toEqual([expect.stringMatching(/^h.yaml:1:\d+: /)]);
    expect(problems('host: auto\nhost: docker')).toEqual([
      expect.stringMatching(/^h.yaml:2:1: Map keys must be unique/),
    ]);
    expect(problems('- a')).toEqual(['h.yaml:1:1: the document must be a mapping']);
    expect(read('# nothing\n')).toBeUndefined();
  });

  test('anchors work, and x-… keys are left alone', () => {
    const found = read(`
x-mine: &keep { daily: 3 }
policies:
  a: { schedule: '@daily', keep: *keep, x-note: [1] }
`);
    expect(found?.policies[0]?.keep?.rules.count).toEqual({ daily: 3 });
  });

  test('aliases that multiply without end are refused', () => {
    const bomb = [
      'x-0: &a0 [x, x, x]',
      ...Array.from({ length: 30 }, (_, i) => `x-${i + 1}: &a${i + 1} [*a${i}, *a${i}, *a${i}]`),
    ];
    expect(read(`${bomb.join('\n')}\npolicies: {}`)?.policies).toEqual([]);
  });
});
