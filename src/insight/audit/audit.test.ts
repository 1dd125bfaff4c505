import { readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Ajv } from 'ajv';
import { describe, expect, test } from 'vitest';
import type { Container } from '../../hosts/containers.ts';
import { AppError } from '../../model/errors.ts';
import { auditedWorld, type WorldRequest } from '../../../test/fixtures/audited-world.ts';
import { auditSarif } from './as-sarif.ts';

const socket = 'name: app\nservices:\n  web:\n    image: x\n    volumes:\n      - /run/docker.sock:/s\n';

const compose = (project: string, service: string, extra: Readonly<Record<string, string>> = {}) => ({
  'com.docker.compose.project': project,
  'com.docker.compose.service': service,
  ...extra,
});

/** PostgreSQL 15 whose volume is mounted above the VOLUME of its image. */
const shadowed = {
  name: 'app-db-1',
  stack: 'app',
  service: 'db',
  image: 'postgres:15',
  imageId: 'sha256:pg',
  labels: compose('app', 'db'),
  mounts: [
    { type: 'volume', source: 'app_pg', destination: '/var/lib/postgresql', readOnly: false },
    { type: 'volume', source: 'f'.repeat(64), destination: '/var/lib/postgresql/data', readOnly: false },
  ],
} as const satisfies Partial<Container>;

const shadowedHost: WorldRequest = {
  containers: [shadowed],
  volumes: [
    { name: 'app_pg', stack: 'app' },
    { name: 'f'.repeat(64), anonymous: true },
  ],
  images: { 'sha256:pg': { volumes: ['/var/lib/postgresql/data'] } },
};

describe('on a host', () => {
  test('finds data beside its volume, and names both', async () => {
    await using world = await auditedWorld(shadowedHost);
    const { findings } = await world.run({ target: 'app' });
    expect(findings).toMatchObject([
      {
        id: 'HF-V001',
        severity: 'loss',
        subject: { kind: 'container', name: 'app-db-1' },
        message: expect.stringContaining(`the anonymous volume "${'f'.repeat(64)}"`),
        commands: [['holdfast', 'audit', 'app', '--fix']],
      },
    ]);
  });

  test('tells file and container as one finding, with the line of the file and the volume of the host', async () => {
    await using world = await auditedWorld({
      ...shadowedHost,
      files: {
        'compose.yaml':
          'name: app\nservices:\n  db:\n    image: postgres:15\n    volumes:\n      - pg:/var/lib/postgresql\nvolumes: { pg: }\n',
      },
    });
    const { findings } = await world.run();
    expect(findings).toMatchObject([
      { id: 'HF-V001', position: { line: 6 }, commands: [['holdfast', 'audit', 'app', '--fix']] },
    ]);
  });

  test('finds an image’s own VOLUME below a mount, whatever the image', async () => {
    await using world = await auditedWorld({
      containers: [
        {
          name: 'x',
          image: 'mine',
          imageId: 'sha256:x',
          mounts: [
            { type: 'volume', source: 'x', destination: '/srv', readOnly: false },
            { type: 'volume', source: 'anon', destination: '/srv/store', readOnly: false },
          ],
        },
      ],
      volumes: [{ name: 'x' }, { name: 'anon', anonymous: true }],
      images: { 'sha256:x': { volumes: ['/srv/store'] } },
    });
    const { findings } = await world.run({ target: undefined });
    expect(findings.map(({ id }) => id)).toEqual(['HF-V001']);
  });

  test('finds a volume that two stacks write to, and leaves alone one that is only read', async () => {
    const user = (stack: string, source: string, readOnly: boolean) => ({
      name: `${stack}-web-1`,
      stack,
      service: 'web',
      labels: compose(stack, 'web'),
      mounts: [{ type: 'volume' as const, source, destination: '/d', readOnly }],
    });
    const volumes = [{ name: 'shared' }];
    await using both = await auditedWorld({
      containers: [user('one', 'shared', false), user('two', 'shared', false)],
      volumes,
    });
    expect((await both.run({ target: undefined })).findings).toMatchObject([
      { id: 'HF-V006', subject: { kind: 'volume', name: 'shared' } },
    ]);
    await using reads = await auditedWorld({
      containers: [user('one', 'shared', false), user('two', 'shared', true)],
      volumes,
    });
    expect((await reads.run({ target: undefined })).findings).toEqual([]);
  });

  test('finds volumes without a policy, and others whose snapshot is too old', async () => {
    await using world = await auditedWorld({
      volumes: [{ name: 'none' }, { name: 'old' }, { name: 'good' }, { name: 'cache' }],
      places: [
        { name: 'none' },
        {
          name: 'old',
          policies: ['nightly'],
          newest: { id: 'abcdef0123', time: '2026-01-01T00:00:00Z', ageMs: 9e8 },
        },
        { name: 'good', state: 'protected', policies: ['nightly'] },
        { name: 'cache', state: 'cache' },
        { name: 'a1', kind: 'anonymous' },
        { name: '/srv', kind: 'bind' },
      ],
    });
    const { findings } = await world.run({ target: undefined });
    expect(findings.map(({ id, subject }) => `${id} ${subject.name}`)).toEqual([
      'HF-B001 none',
      'HF-B003 old',
    ]);
  });

  test('says that there is no repository, where an engine answers and there is something to be saved', async () => {
    const lost = { volumes: [{ name: 'pg' }], hasRepository: false };
    await using world = await auditedWorld(lost);
    expect(await world.run({ target: undefined })).toMatchObject({
      findings: [
        {
          ...{ id: 'HF-B004', severity: 'loss', subject: { kind: 'host', name: 'here' } },
          evidence: ['There is no repository yet.'],
        },
      ],
      notes: [],
    });
    await using without = await auditedWorld({
      ...lost,
      hasEngine: false,
      files: { 'compose.yaml': socket },
    });
    expect((await without.run()).findings.map(({ id }) => id)).toEqual(['HF-S001']);
    await using bare = await auditedWorld({ hasRepository: false });
    expect((await bare.run({ target: undefined })).findings).toEqual([]);
    const files = {
      'compose.yaml': 'services: { web: { image: x, volumes: [d:/d] } }\nvolumes: { d: {} }\n',
    };
    await using unstarted = await auditedWorld({ hasRepository: false, files });
    expect((await unstarted.run()).findings).toEqual([]);
  });

  test('does not take a repository for missing that only holdfast.yaml names, or whose name cannot be read', async () => {
    const message = 'Cannot reach "backup.example"';
    await using far = await auditedWorld({
      volumes: [{ name: 'pg' }],
      coverage: async () => ({
        places: [],
        repositories: ['offsite'],
        unreachable: [{ repository: 'offsite', message }],
      }),
    });
    expect(await far.run({ target: undefined })).toMatchObject({ findings: [], notes: [message] });
    await using unread = await auditedWorld({
      volumes: [{ name: 'pg' }],
      coverage: async () => {
        throw new AppError('usage', 'Cannot read "holdfast.yaml"');
      },
    });
    expect(await unread.run({ target: undefined })).toMatchObject({
      findings: [],
      notes: ['Policies were not looked at: Cannot read "holdfast.yaml"'],
    });
  });

  test('the file of a project does not silence that there is no repository', async () => {
    await using world = await auditedWorld();
    const labels = compose('one', 'web', {
      'com.docker.compose.project.config_files': join(world.folder, 'compose.yaml'),
      'com.docker.compose.project.working_dir': world.folder,
    });
    await world.write('compose.yaml', 'name: one\nservices: { web: { image: x } }\n');
    await world.write('.holdfast-audit.yaml', 'ignore: [{ rule: HF-B004, reason: not mine }]\n');
    await using host = await auditedWorld({
      ...{ containers: [{ name: 'one-web-1', stack: 'one', service: 'web', labels }] },
      ...{ volumes: [{ name: 'pg' }], hasRepository: false },
    });
    expect((await host.run({ target: undefined })).findings.map(({ id }) => id)).toEqual(['HF-B004']);
  });

  test('says where an orphan came from, when all rules are asked for', async () => {
    await using world = await auditedWorld({
      volumes: [
        { name: 'f'.repeat(64), anonymous: true },
        { name: 'app_old', stack: 'app', labels: { 'com.docker.compose.volume': 'old' } },
      ],
    });
    expect((await world.run({ target: undefined })).findings).toEqual([]);
    const { findings } = await world.run({ target: undefined, allRules: true });
    expect(findings.map(({ id, evidence }) => `${id} ${evidence[0]}`)).toEqual([
      'HF-H001 A container made it for a VOLUME of its image, and was removed without "-v".',
      'HF-H001 The stack "app" made it as "old": the stack was taken down without "-v", or no longer declares it.',
    ]);
  });

  test('does not believe the labels of an image about where a Compose file is', async () => {
    const labels = compose('evil', 'web', { 'com.docker.compose.project.config_files': '/etc/shadow' });
    await using world = await auditedWorld({
      containers: [{ name: 'x', stack: 'evil', service: 'web', labels, imageLabels: labels }],
    });
    const report = await world.run({ target: undefined });
    expect(report).toMatchObject({ files: [], notes: [] });
  });

  test('goes on when a container’s Compose file is broken, and says so', async () => {
    await using world = await auditedWorld({
      ...shadowedHost,
      containers: [
        {
          ...shadowed,
          labels: compose('app', 'db', { 'com.docker.compose.project.config_files': '/nowhere/c.yaml' }),
        },
      ],
    });
    const { findings, notes } = await world.run({ target: undefined });
    expect(findings.map(({ id }) => id)).toEqual(['HF-V001']);
    expect(notes).toEqual([expect.stringContaining('The file of stack "app" was not looked at')]);
  });

  test('leaves out a container of another stack that has the name of a service', async () => {
    await using world = await auditedWorld({
      containers: [
        {
          name: 'web',
          mounts: [{ type: 'bind', source: '/run/docker.sock', destination: '/s', readOnly: true }],
        },
      ],
      files: { 'compose.yaml': 'name: app\nservices: { web: { image: x } }\n' },
    });
    expect((await world.run()).findings).toEqual([]);
    expect((await world.run({ target: undefined })).findings).toMatchObject([{ id: 'HF-S001' }]);
  });

  test('refuses a stack that is not there', async () => {
    await using world = await auditedWorld();
    await expect(world.run({ target: 'nothing' })).rejects.toMatchObject({ code: 'not-found' });
    await expect(world.run({ target: './nothing.yaml' })).rejects.toMatchObject({ code: 'not-found' });
  });

  test('fails for a stack when no engine answers, and audits a file without one', async () => {
    await using world = await auditedWorld({ hasEngine: false, files: { 'compose.yaml': socket } });
    await expect(world.run({ target: 'app' })).rejects.toMatchObject({ code: 'unavailable' });
    const { findings, notes } = await world.run();
    expect(findings.map(({ id }) => id)).toEqual(['HF-S001']);
    expect(notes).toEqual(['Only the file was looked at: No engine answers']);
  });
});

describe('what is as it should be', () => {
  const ignoring = (comment: string): WorldRequest => ({
    hasEngine: false,
    files: { 'compose.yaml': socket.replace('docker.sock:/s\n', `docker.sock:/s ${comment}\n`) },
  });

  test('is silenced by a comment with a reason, at the line', async () => {
    await using world = await auditedWorld(ignoring('# holdfast ignore=HF-S001 the proxy needs it'));
    expect(await world.run()).toMatchObject({
      findings: [],
      suppressed: [{ id: 'HF-S001', suppression: { by: 'line', reason: 'the proxy needs it' } }],
    });
  });

  test.each(['# holdfast ignore=HF-S001', '# holdfast ignore=HF-V001 another rule', '# ignore=HF-S001 no'])(
    'is not silenced by %j',
    async (comment) => {
      await using world = await auditedWorld(ignoring(comment));
      expect((await world.run()).findings).toHaveLength(1);
    },
  );

  test('is silenced by a comment above its service', async () => {
    const above = socket.replace('  web:\n', '  # holdfast ignore=HF-S009,HF-S001 all of it\n  web:\n');
    await using world = await auditedWorld({ hasEngine: false, files: { 'compose.yaml': above } });
    expect(await world.run()).toMatchObject({ findings: [], suppressed: [{ id: 'HF-S001' }] });
  });

  test('is silenced by the project’s file until its day is over', async () => {
    const ignore = "ignore:\n  - { rule: HF-S001, subject: 'w*', reason: proxy, until: '2026-06-30' }\n";
    const files = { 'compose.yaml': socket, '.holdfast-audit.yaml': ignore };
    await using before = await auditedWorld({
      hasEngine: false,
      files,
      now: Date.parse('2026-06-30T23:00:00Z'),
    });
    expect(await before.run()).toMatchObject({ findings: [], suppressed: [{ suppression: { by: 'file' } }] });
    await using after = await auditedWorld({
      hasEngine: false,
      files,
      now: Date.parse('2026-07-01T01:00:00Z'),
    });
    const report = await after.run();
    expect(report.findings).toHaveLength(1);
    expect(report.notes.join()).toContain('silences HF-S001 until 2026-06-30');
  });

  test.each([
    ['# holdfast ignore=HF-S001', 'line 6, silences nothing: it gives no reason'],
    ['# holdfast ignore=HF-S099,HF-S001 mine', 'line 6, silences nothing: no rule is called "HF-S099"'],
    ['# holdfast ignore=HF-H004 mine', 'line 6, silences nothing: "HF-H004" is "HF-C018" by now'],
  ])('is told of when it silences nothing (%s)', async (comment, why) => {
    await using world = await auditedWorld(ignoring(comment));
    expect((await world.run()).notes).toContainEqual(expect.stringContaining(why));
  });

  test('is told of when the file of suppressions names a rule that is none', async () => {
    const ignore = 'ignore: [{ rule: HF-V999, reason: x }, { rule: HF-S001, reason: x }]\n';
    const files = { 'compose.yaml': socket, '.holdfast-audit.yaml': ignore };
    await using world = await auditedWorld({ hasEngine: false, files });
    const { findings, notes } = await world.run();
    expect(findings).toEqual([]);
    expect(notes.filter((note) => note.includes('silences nothing'))).toEqual([
      expect.stringMatching(/holdfast-audit\.yaml" silences nothing: no rule is called "HF-V999"$/),
    ]);
  });

  test('the file of one project silences nothing of another when the whole host is asked for', async () => {
    await using world = await auditedWorld();
    const user = (stack: string): Partial<Container> & { readonly name: string } => ({
      name: `${stack}-web-1`,
      stack,
      service: 'web',
      labels: compose(stack, 'web', {
        'com.docker.compose.project.config_files': join(world.folder, stack, 'compose.yaml'),
        'com.docker.compose.project.working_dir': join(world.folder, stack),
      }),
      mounts: [{ type: 'bind', source: '/run/docker.sock', destination: '/s', readOnly: false }],
    });
    await using host = await auditedWorld({
      containers: [user('one'), user('two')],
      volumes: [
        { name: 'one_v', stack: 'one' },
        { name: 'two_v', stack: 'two' },
      ],
      places: [{ name: 'one_v' }, { name: 'two_v' }],
    });
    for (const stack of ['one', 'two'])
      await world.write(`${stack}/compose.yaml`, socket.replace('name: app', `name: ${stack}`));
    await world.write(
      'one/.holdfast-audit.yaml',
      'ignore: [{ rule: HF-S001, reason: x }, { rule: HF-B001, reason: x }]\n',
    );
    const { findings, suppressed } = await host.run({ target: undefined });
    const told = ({ id, message }: { readonly id: string; readonly message: string }) =>
      `${id} ${message.match(/one|two|web/)?.[0]}`;
    expect(findings.map(told)).toEqual(['HF-B001 two', 'HF-S001 web']);
    expect(findings[1]?.position?.file).toBe(join(world.folder, 'two/compose.yaml'));
    expect(suppressed.map(told)).toEqual(['HF-B001 one', 'HF-S001 web']);
    // Nor does a broken one keep the others from being looked at.
    await world.write('one/.holdfast-audit.yaml', 'ignore: [\n');
    const report = await host.run({ target: undefined });
    expect(report.findings).toHaveLength(4);
    expect(report.notes).toEqual([expect.stringContaining('one/.holdfast-audit.yaml" cannot be used')]);
  });

  test.each([
    ['ignore: { rule: HF-S001 }', '"ignore" must be a list'],
    ['ignore: [{ rule: HF-S001 }]', '"reason" must say why'],
    ['ignore: [{ rule: nothing, reason: x }]', '"rule" must be an id'],
    ['ignore: [{ rule: HF-S001, reason: x, until: soon }]', '"until" must be a day'],
    ['ignore: [{ rule: HF-S001, reason: x, file: y }]', '"file" is unknown'],
    ['ignore: [', 'cannot be used'],
    ['a: &a [x]\nignore: [*a, *a]', 'cannot be used'],
  ])('refuses the file %j', async (content, message) => {
    await using world = await auditedWorld({
      hasEngine: false,
      files: { 'compose.yaml': socket, '.holdfast-audit.yaml': content },
    });
    await expect(world.run()).rejects.toMatchObject({
      code: 'usage',
      message: expect.stringContaining(message),
    });
  });

  test('does not count when the baseline has it, whatever line it stands at by now', async () => {
    await using world = await auditedWorld({ hasEngine: false, files: { 'compose.yaml': socket } });
    const baseline = 'audit.json';
    expect(await world.run({ baseline })).toMatchObject({
      findings: [],
      known: [{ id: 'HF-S001' }],
      baselineWritten: baseline,
    });
    await world.write('compose.yaml', `# one line more\n${socket}    privileged: true\n`);
    const again = await world.run({ baseline });
    expect(again).toMatchObject({
      findings: [{ id: 'HF-S009' }],
      known: [{ id: 'HF-S001', position: { line: 7 } }],
      baselineWritten: undefined,
    });
    await world.run({ baseline, updatesBaseline: true });
    expect((await world.run({ baseline })).findings).toEqual([]);
  });

  test('counts for one secret of a command line, and not for the next', async () => {
    const withCommand = (words: string): string =>
      `name: app\nservices:\n  web:\n    image: x\n    command: [run, ${words}]\n`;
    await using world = await auditedWorld({
      hasEngine: false,
      files: { 'compose.yaml': withCommand('--password=hunter2') },
    });
    await world.run({ baseline: 'audit.json' });
    await world.write('compose.yaml', withCommand('--password=hunter2, --api-token, hunter3'));
    const { findings, known } = await world.run({ baseline: 'audit.json' });
    expect(findings.map(({ id, evidence }) => `${id} ${evidence.join()}`)).toEqual([
      expect.stringMatching(/^HF-S006 The option "--api-token" has it/),
    ]);
    expect(known).toHaveLength(1);
  });

  test('refuses a baseline that is none', async () => {
    await using world = await auditedWorld({
      hasEngine: false,
      files: { 'compose.yaml': socket, 'audit.json': '{"findings":[]}' },
    });
    await expect(world.run({ baseline: 'audit.json' })).rejects.toMatchObject({ code: 'usage' });
    expect(await readFile(join(world.folder, 'audit.json'), 'utf8')).toBe('{"findings":[]}');
  });
});

describe('SARIF', () => {
  test('is valid by the schema of SARIF 2.1.0, for files, hosts, suppressions and a baseline', async () => {
    await using world = await auditedWorld({
      ...shadowedHost,
      files: {
        'web/compose.yaml':
          `${socket.replace('name: app', 'name: web')} # holdfast ignore=HF-S001 the proxy needs it\n    privileged: true\n`.replace(
            '/s\n #',
            '/s #',
          ),
      },
    });
    const host = await world.run({ target: undefined, allRules: true });
    const file = await world.run({ target: './web', baseline: 'b.json' });
    for (const report of [host, file]) expect(await problemsOf(auditSarif(report, world.folder))).toEqual([]);
    const log = auditSarif(file, world.folder) as Log;
    expect(log.runs[0]?.results).toMatchObject([
      {
        ruleId: 'HF-S009',
        level: 'error',
        baselineState: 'unchanged',
        locations: [
          {
            physicalLocation: {
              artifactLocation: { uri: 'web/compose.yaml', uriBaseId: 'SRCROOT' },
              region: { startLine: 7 },
            },
            logicalLocations: [{ fullyQualifiedName: 'service/web' }],
          },
        ],
        partialFingerprints: { 'holdfast/v1': expect.stringMatching(/^[0-9a-f]{32}$/) },
      },
      { ruleId: 'HF-S001', suppressions: [{ kind: 'inSource', justification: 'the proxy needs it' }] },
    ]);
    for (const { results } of [...log.runs, ...(auditSarif(host, world.folder) as Log).runs])
      for (const { locations } of results)
        expect(locations).toMatchObject([
          { physicalLocation: { artifactLocation: { uri: expect.stringMatching(/^[^/].*$/) } } },
        ]);
    const onHost = (auditSarif(host, world.folder) as Log).runs[0]?.results[0];
    expect(onHost?.locations).toEqual([
      {
        physicalLocation: {
          artifactLocation: { uri: 'host/container/app-db-1' },
          region: { startLine: 1, startColumn: 1, endLine: 1, endColumn: 1 },
        },
        logicalLocations: [{ name: 'app-db-1', kind: 'container', fullyQualifiedName: 'container/app-db-1' }],
      },
    ]);
  });

  test('names files below the folder around them when one is outside of the current one', async () => {
    await using world = await auditedWorld({
      hasEngine: false,
      files: { 'a/compose.yaml': socket, 'b/x': '' },
    });
    const report = await world.run({ target: './a' });
    const [run] = (auditSarif(report, join(world.folder, 'b')) as Log).runs;
    expect(JSON.stringify(run?.results)).toContain('"uri":"a/compose.yaml"');
  });
});

interface Log {
  readonly runs: readonly { readonly results: readonly { readonly locations: unknown }[] }[];
}

async function problemsOf(log: object): Promise<unknown[]> {
  const text = await readFile(
    join(import.meta.dirname, '../../../test/fixtures/sarif-2.1.0-rtm.5.json'),
    'utf8',
  );
  // The schema is of draft 4, whose "id" is of no use here; the rest means the same.
  const { id, $schema, ...schema } = JSON.parse(text) as Record<string, unknown>;
  expect([id, $schema]).toEqual([
    expect.stringContaining('sarif-2.1.0'),
    expect.stringContaining('draft-04'),
  ]);
  const ajv = new Ajv({
    strict: false,
    unicodeRegExp: false,
    allErrors: true,
    formats: { uri: true, 'uri-reference': true, 'date-time': true },
  });
  return ajv.validate(schema, log) ? [] : (ajv.errors ?? []);
}

/** Ten levels of ten aliases each. */
const bomb = `a0: &a0 [x]\n${Array.from({ length: 10 }, (_, at) => `a${at + 1}: &a${at + 1} [${Array(10).fill(`*a${at}`).join()}]\n`).join('')}services: { x: { image: *a10 } }\n`;

describe('bad input', () => {
  test('says what Compose refuses, and audits the rest', async () => {
    const wrong = `${socket}  odd:\n    image: x\n    volumes: [{ type: volume }]\n`;
    await using world = await auditedWorld({ files: { 'compose.yaml': wrong } });
    const { findings, refused } = await world.run();
    expect(findings.map(({ id }) => id)).toEqual(['HF-S001']);
    expect(refused).toEqual([expect.stringMatching(/^Compose refuses ".*compose\.yaml", line 9: /)]);
  });

  test.each([
    ['broken YAML', 'services: ['],
    ['a bomb of aliases', bomb],
    ['no mapping', '- a\n'],
  ])('%s is an error with words, and no crash', async (_, content) => {
    await using world = await auditedWorld({ hasEngine: false, files: { 'compose.yaml': content } });
    await expect(world.run()).rejects.toMatchObject({ code: 'usage' });
  });

  test('a file of suppressions that is a FIFO or a folder does not hang', async () => {
    await using world = await auditedWorld({ hasEngine: false, files: { 'compose.yaml': socket } });
    await symlink('/dev/tty', join(world.folder, '.holdfast-audit.yaml'));
    await expect(world.run()).rejects.toMatchObject({
      message: expect.stringContaining('.holdfast-audit.yaml'),
    });
  });

  test('a secret file that every user can read is found, one that is closed is not', async () => {
    const secrets =
      'name: app\nservices: { web: { image: x, secrets: [pw] } }\nsecrets: { pw: { file: ./pw.txt } }\n';
    await using world = await auditedWorld({ hasEngine: false, files: { 'compose.yaml': secrets } });
    await writeFile(join(world.folder, 'pw.txt'), 'hunter2', { mode: 0o644 });
    expect((await world.run()).findings).toMatchObject([{ id: 'HF-S013', subject: { name: 'pw.txt' } }]);
    await using closed = await auditedWorld({ hasEngine: false, files: { 'compose.yaml': secrets } });
    await writeFile(join(closed.folder, 'pw.txt'), 'hunter2', { mode: 0o600 });
    expect((await closed.run()).findings).toEqual([]);
  });
});
