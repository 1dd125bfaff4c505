import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { inspectComposeSettings, readComposeSettings } from '../../backup/settings/compose-settings.ts';
import { settingsOfLabels } from '../../backup/settings/settings-of-labels.ts';

describe('settings in labels', () => {
  test('mean the same as in the file', () => {
    const { settings, warnings } = settingsOfLabels(
      {
        schedule: '0 3 * * 1,5; @monthly',
        'time-zone': 'Europe/Berlin',
        jitter: '10m',
        'catch-up': 'no',
        'max-still': '1500ms',
        'still-tries': '2',
        exclude: '*.tmp, /cache',
        repositories: 'a,b',
        'keep.daily': '7',
        'keep.last': 'unlimited',
        'keep.within-hourly': '2d',
      },
      '"pg"',
    );
    expect(warnings).toEqual([]);
    expect(settings).toMatchObject({
      schedule: ['0 3 * * 1,5', '@monthly'],
      timeZone: 'Europe/Berlin',
      jitterMs: 600_000,
      catchUp: false,
      maxStillMs: 1500,
      stillTries: 2,
      excludes: ['*.tmp', '/cache'],
      repositories: ['a', 'b'],
      keep: {
        rules: { last: Infinity, count: { daily: 7 }, periodWithin: { hourly: { days: 2 } } },
        verified: 1,
      },
      consistency: undefined,
    });
  });

  test('that are invalid are reported and ignored; the others count', () => {
    const { settings, warnings } = settingsOfLabels(
      {
        schedule: 'often; @daily',
        jitter: 'soon',
        'catch-up': 'perhaps',
        'keep.daily': 'seven',
        consistency: 'stop',
      },
      '"pg"',
    );
    expect(settings).toMatchObject({
      schedule: undefined,
      jitterMs: undefined,
      catchUp: undefined,
      keep: undefined,
      consistency: 'stop',
    });
    expect(warnings).toHaveLength(5);
    expect(warnings[0]).toMatch(
      /^The label "holdfast.schedule" of "pg" is not understood: Cannot read the schedule "often"/,
    );
    expect(warnings.find((line) => line.includes('keep.daily'))).toBeDefined();
  });
});

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-compose-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function settingsOf(content: string): ReturnType<typeof readComposeSettings> {
  const file = join(folder, 'compose.yaml');
  writeFileSync(file, content);
  return readComposeSettings([file]);
}

const compose = `
x-holdfast: { policy: databases, schedule: '@daily' }
services:
  db:
    image: postgres
    x-holdfast: { consistency: stop }
  web: { image: nginx }
volumes:
  data:
    x-holdfast: { backup: true, keep: { daily: 30 } }
  cache:
    x-holdfast: { backup: false }
  plain:
`;

describe('x-holdfast in Compose files', () => {
  test('configures the stack, services and volumes', async () => {
    const { stack, services, volumes } = await settingsOf(compose);
    expect(stack).toMatchObject({ policies: ['databases'], settings: { schedule: ['@daily'] } });
    expect([...services.keys()]).toEqual(['db']);
    expect(services.get('db')?.settings.consistency).toBe('stop');
    expect(volumes.get('data')).toMatchObject({
      backup: true,
      settings: { keep: { rules: { count: { daily: 30 } } } },
    });
    expect(volumes.get('cache')?.backup).toBe(false);
  });

  test('reports its errors with line and column', async () => {
    const content = `services:\n  db:\n    x-holdfast: { consistancy: stop }`;
    expect((await settingsOf(content)).warnings).toEqual([
      expect.stringContaining(
        '/compose.yaml:3:19: services.db.x-holdfast.consistancy is not known here: did you mean "consistency"?',
      ),
    ]);
  });

  test('is found where a service extends another and a file includes another', async () => {
    writeFileSync(join(folder, 'inner.yaml'), `volumes: { kept: { x-holdfast: { backup: true } } }`);
    const { services, volumes } = await settingsOf(`
include: [inner.yaml]
services:
  base: { image: a, x-holdfast: { consistency: stop } }
  db: { extends: base }
`);
    expect(services.get('db')?.settings.consistency).toBe('stop');
    expect(volumes.get('kept')?.backup).toBe(true);
  });

  test.each(['include: [inner.yaml]', 'services: { a: { extends: { file: inner.yaml, service: b } } }'])(
    'counts beside %j of a broken file, which is told',
    async (line) => {
      writeFileSync(join(folder, 'inner.yaml'), 'services: { b: [}\n');
      const { stack, volumes, warnings } = await settingsOf(
        `${line}\nx-holdfast: { policy: databases }\nvolumes: { cache: { x-holdfast: { backup: false } } }\n`,
      );
      expect(stack.policies).toEqual(['databases']);
      expect(volumes.get('cache')?.backup).toBe(false);
      expect(warnings).toEqual([expect.stringContaining('/inner.yaml:1:')]);
    },
  );

  test('counts where an included folder has a broken ".env"', async () => {
    mkdirSync(join(folder, 'sub'));
    writeFileSync(join(folder, 'sub/.env'), 'A B\n');
    writeFileSync(join(folder, 'sub/c.yaml'), 'volumes: { v: { x-holdfast: { backup: false } } }\n');
    const { stack, volumes } = await settingsOf('include: [sub/c.yaml]\nx-holdfast: { policy: p }\n');
    expect([stack.policies, volumes.get('v')?.backup]).toEqual([['p'], false]);
  });

  test('keeps the dollars of a hook', async () => {
    const { stack } = await settingsOf(
      'x-holdfast: { hooks: { before: [{ in: db, command: [echo, $A, "$$B"] }] } }',
    );
    expect(stack.settings.hooks).toMatchObject([{ command: ['echo', '$A', '$$B'] }]);
  });

  test('of a file that is no YAML is told with its place', async () => {
    expect((await settingsOf('services: [\n')).warnings).toEqual([
      expect.stringContaining('compose.yaml:2:1: '),
    ]);
  });

  test('in a later file overrides an earlier one; files that cannot be read are skipped', async () => {
    const [first, second, pipe] = ['a.yaml', 'b.yaml', 'pipe'].map((name) => join(folder, name)) as [
      string,
      string,
      string,
    ];
    writeFileSync(first, compose);
    writeFileSync(second, `x-holdfast: { schedule: '@hourly' }\n`);
    execFileSync('mkfifo', [pipe]);
    const found = await readComposeSettings([first, pipe, join(folder, 'gone.yaml'), folder, second]);
    expect(found.stack).toMatchObject({ policies: ['databases'], settings: { schedule: ['@hourly'] } });
    expect(found.warnings).toEqual([]);
    writeFileSync(second, `x-holdfast: { backup: maybe }\n`);
    expect((await readComposeSettings([first, second])).warnings[0]).toContain(
      'x-holdfast.backup must be true or false',
    );
  });

  test('are inspected before the stack was ever started: each error with its place, and the policies that are named', async () => {
    const [good, bad] = ['a.yaml', 'b.yaml'].map((name) => join(folder, name)) as [string, string];
    writeFileSync(
      good,
      `${compose}  made:\n    x-holdfast: { policy: [weekly], storage: { type: luks, size: 10 } }\n`,
    );
    writeFileSync(bad, `x-holdfast:\n  backup: maybe\n  keep: { last: 3, daily: many }\n`);
    const { problems, policies, wanted } = await inspectComposeSettings([good, bad]);
    expect(['made', 'cache', 'plain'].map((volume) => wanted(volume, 'db'))).toEqual([
      ['weekly'],
      false,
      ['databases'],
    ]);
    expect(policies).toEqual(['databases', 'weekly']);
    expect(problems).toEqual([
      { file: bad, line: 2, column: 11, message: 'x-holdfast.backup must be true or false' },
      { file: bad, line: 3, column: 27, message: expect.stringMatching(/^x-holdfast\.keep\.daily must be/) },
    ]);
  });
});

test('hooks of a Compose file stay in its project, and those of the machine’s configuration do not', async () => {
  const hooks = 'hooks: { before: [{ in: db, command: x }] }';
  const { stack } = await settingsOf(`x-holdfast: { ${hooks} }`);
  expect(stack.settings.hooks).toMatchObject([{ target: 'db', runsAnywhere: false }]);
});
