import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { ComposePath, ComposeProject, ComposeRequest } from './compose-project.ts';
import { loadProject } from './load-project.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'compose-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function load(
  files: Readonly<Record<string, string>>,
  request: Partial<ComposeRequest> = {},
): Promise<ComposeProject> {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
  return loadProject({ directory: folder, env: {}, ...request });
}

/** `FILE:LINE:COLUMN`, the file as it is below the project's folder. */
function placeIn(project: ComposeProject, path: ComposePath, part?: 'key' | 'value'): string {
  const { file, line, column } = project.positionOf(path, part);
  return `${relative(folder, file)}:${line}:${column}`;
}

describe('the place of a value', () => {
  test('is that of its key, of its entry in a list, and of the line in the short syntax', async () => {
    const project = await load({
      'compose.yaml': [
        'services:',
        '  db:',
        '    image: postgres',
        '    environment: [A=1, B=2]',
        '    labels:',
        '      x: y',
        '    volumes:',
        '      - data:/data',
        '      - type: bind',
        '        source: /a',
        '        target: /b',
        'volumes: { data: }',
      ].join('\n'),
    });
    const at = (...path: (string | number)[]): string => placeIn(project, path);
    expect(at('services', 'db')).toBe('compose.yaml:2:3');
    expect(at('services', 'db', 'image')).toBe('compose.yaml:3:5');
    expect(placeIn(project, ['services', 'db', 'image'], 'value')).toBe('compose.yaml:3:12');
    expect(at('services', 'db', 'environment', 'B')).toBe('compose.yaml:4:24');
    expect(at('services', 'db', 'labels', 'x')).toBe('compose.yaml:6:7');
    expect(at('services', 'db', 'volumes', 0, 'target')).toBe('compose.yaml:8:9');
    expect(at('services', 'db', 'volumes', 1, 'target')).toBe('compose.yaml:11:9');
    expect(at('volumes', 'data')).toBe('compose.yaml:12:12');
    // What is not there has the place of what is around it.
    expect(at('services', 'db', 'user')).toBe('compose.yaml:2:3');
    expect(at('nothing')).toBe('compose.yaml:1:1');
    expect(project.services.get('db')?.mounts[1]?.position).toMatchObject({ line: 9, column: 9 });
  });

  test('is the winner’s after merging, extending, including, anchors and env_file', async () => {
    const project = await load({
      'compose.yaml': [
        'include: [inner/c.yaml]',
        'x-base: &base',
        '  restart: always',
        'services:',
        '  db:',
        '    <<: *base',
        '    image: one',
        '    env_file: db.env',
        '    volumes: ["a:/a", "./b:/b"]',
        '    extends: { file: base.yaml, service: base }',
        'volumes: { a: }',
      ].join('\n'),
      'compose.override.yaml': 'services:\n  db:\n    image: two\n    volumes:\n      - ./c:/b\n',
      'base.yaml': 'services:\n  base:\n    user: "5"\n    environment:\n      FROM_BASE: x\n',
      'inner/c.yaml': 'services:\n  inner:\n    image: i\n',
      'db.env': '# first\n\nFROM_FILE=1\n',
    });
    expect(project.problems).toEqual([]);
    const db = (...path: (string | number)[]): string => placeIn(project, ['services', 'db', ...path]);
    expect(db()).toBe('compose.yaml:5:3');
    expect(db('image')).toBe('compose.override.yaml:3:5');
    expect(db('restart')).toBe('compose.yaml:3:3');
    expect(db('user')).toBe('base.yaml:3:5');
    expect(db('environment', 'FROM_BASE')).toBe('base.yaml:5:7');
    expect(db('environment', 'FROM_FILE')).toBe('db.env:3:1');
    expect(db('volumes', 0)).toBe('compose.yaml:9:15');
    expect(db('volumes', 1)).toBe('compose.override.yaml:5:9');
    expect(placeIn(project, ['services', 'inner', 'image'])).toBe('inner/c.yaml:3:5');
    expect(project.filesRead.map((file) => relative(folder, file)).toSorted()).toEqual([
      'base.yaml',
      'compose.override.yaml',
      'compose.yaml',
      'db.env',
      'inner/c.yaml',
    ]);
  });

  test('of what does not change stays where it was when a service is extended in its own file', async () => {
    const project = await load({
      'compose.yaml':
        'services:\n  a:\n    image: x\n    volumes: ["/one"]\n  b:\n    extends: a\n    volumes: ["/two"]\n',
    });
    expect(placeIn(project, ['services', 'b'])).toBe('compose.yaml:5:3');
    expect(placeIn(project, ['services', 'b', 'image'])).toBe('compose.yaml:3:5');
    expect(project.services.get('b')?.mounts.map(({ position }) => position.line)).toEqual([4, 7]);
  });
});

test('comments beside a value and directly above it can be read, and no others', async () => {
  const project = await load({
    'compose.yaml': [
      '# of the file',
      '',
      'services:',
      '  # of the service',
      '  # in two lines',
      '  db: # beside the service',
      '    image: "a#b" # of the image',
      '    volumes:',
      '      - /x # holdfast ignore=HF-V001 on purpose',
      '      - /y',
      '      # above the third',
      '      - type: tmpfs # beside the third',
      '        target: /z',
      '    command: |',
      '      # not a comment',
    ].join('\n'),
  });
  const texts = (...path: (string | number)[]): string[] =>
    project.commentsOf(['services', 'db', ...path]).map(({ text }) => text);
  expect(texts()).toEqual(['of the service', 'in two lines', 'beside the service']);
  expect(texts('image')).toEqual(['of the image']);
  expect(texts('volumes')).toEqual([]);
  expect(texts('volumes', 0)).toEqual(['holdfast ignore=HF-V001 on purpose']);
  expect(texts('volumes', 1)).toEqual([]);
  expect(texts('volumes', 2)).toEqual(['above the third', 'beside the third']);
  expect(texts('command')).toEqual([]);
  expect(texts('user')).toEqual([]);
});

describe('a mount', () => {
  test('keeps its entry as it was written, with its variables filled in', async () => {
    const project = await load(
      { 'compose.yaml': 'services: { a: { image: a, volumes: ["./x:/${DIR}:ro", "/x/../y"] } }' },
      { env: { DIR: 'data' } },
    );
    expect(project.services.get('a')?.mounts).toMatchObject([
      {
        raw: './x:/data:ro',
        mount: { type: 'bind', source: join(folder, 'x'), target: '/data', readOnly: true },
      },
      { raw: '/x/../y', mount: { type: 'volume', target: '/y' } },
    ]);
  });

  test('that an entry of the same file hides is told, as Compose takes the last', async () => {
    const project = await load({
      'compose.yaml': 'services:\n  a:\n    image: a\n    volumes:\n    - /one:/x\n    - /two:/x\n',
    });
    expect(project.services.get('a')?.mounts).toMatchObject([{ mount: { source: '/two' } }]);
    expect(project.problems).toMatchObject([
      {
        kind: 'warning',
        message: 'services.a.volumes[1]: target /x already mounted as services.a.volumes[0]',
        position: { line: 6, column: 7 },
      },
    ]);
  });

  test('that is refused leaves the others', async () => {
    const project = await load({
      'compose.yaml': 'services: { a: { image: a, volumes: ["", "/x", 5, { type: odd, target: /t }, [a]] } }',
    });
    expect(project.services.get('a')?.mounts).toMatchObject([{ mount: { target: '/x' } }]);
    expect(project.problems.map(({ kind }) => kind)).toEqual(['error', 'error', 'error', 'error']);
  });
});

test('variables that are not set, and an old version, are warnings with their place', async () => {
  const project = await load({ 'compose.yaml': 'version: "3"\nservices:\n  a:\n    image: "x:$NOT_SET"\n' });
  expect(project.services.get('a')?.image).toBe('x:');
  expect(project.problems).toMatchObject([
    {
      kind: 'warning',
      message: expect.stringContaining('"NOT_SET" variable is not set'),
      position: { line: 4, column: 12 },
    },
    {
      kind: 'warning',
      message: expect.stringContaining('`version` is obsolete'),
      position: { line: 1, column: 1 },
    },
  ]);
});

test('without interpolation, variables stay as they are written', async () => {
  const project = await load(
    { 'compose.yaml': 'services: { a: { image: "x:$TAG", x-y: "$$a ${B:?c}" } }', '.env': 'TAG=1\n' },
    { interpolate: false },
  );
  expect(project.services.get('a')).toMatchObject({ image: 'x:$TAG', extensions: { 'x-y': '$$a ${B:?c}' } });
  expect(project.problems).toEqual([]);
});

test('services that no profile has are kept apart', async () => {
  const project = await load({
    'compose.yaml': 'services: { a: { image: a }, b: { image: b, profiles: [p], env_file: missing.env } }',
  });
  expect([...project.services.keys()]).toEqual(['a']);
  expect([...project.inactiveServices.keys()]).toEqual(['b']);
  expect(project.problems).toEqual([]);
});

test('no file at all is "not-found", and a named one that is missing too', async () => {
  await expect(load({})).rejects.toMatchObject({
    code: 'not-found',
    message: expect.stringContaining('no Compose file'),
  });
  await expect(load({}, { files: ['gone.yaml'] })).rejects.toMatchObject({ code: 'not-found' });
});

test('a password that cannot be filled in is not in the message, nor is one of an env_file', async () => {
  const { problems } = await load({
    'compose.yaml':
      'services:\n  db:\n    image: x\n    env_file: db.env\n    environment:\n      PASSWORD: "in${the!file"\n',
    'db.env': 'TOKEN=in${another!file\n',
  });
  expect(problems.map(({ message }) => message.replaceAll(folder, ''))).toEqual([
    'error while interpolating services.db.environment.PASSWORD: invalid interpolation format. You may need to escape any $ with another $',
    'env file: /db.env:1:1: invalid interpolation format. You may need to escape any $ with another $',
  ]);
});

test('a broken file that is included or extended is a problem, and the rest is told', async () => {
  const { problems, services } = await load({
    'compose.yaml':
      'include: [inner.yaml]\nservices:\n  a: { image: x }\n  b: { image: y, extends: { file: inner.yaml, service: c } }\n',
    'inner.yaml': 'services: { c: [}\n',
  });
  expect([...services.keys()]).toEqual(['a', 'b']);
  expect(problems.map(({ kind, message, position }) => `${kind} ${position.line} ${message}`)).toEqual([
    expect.stringMatching(/^error 4 cannot extend service "b": .*inner\.yaml:1:17: /),
    expect.stringMatching(/^error 1 .*inner\.yaml:1:17: /),
  ]);
});

test('what Compose refuses below the fields of a service is a problem; a name is made a valid one', async () => {
  const { name, problems } = await load({
    'compose.yaml':
      'name: My App\nservices:\n  a: { image: x, ports: ["99999:80"], build: { contxt: . }, healthcheck: { interval: 5 } }\nvolumes:\n',
  });
  expect(name).toBe('myapp');
  expect(problems.map(({ message }) => message)).toEqual([
    'volumes must be a mapping',
    'services.a.ports.0: Invalid hostPort: "99999"',
    'services.a.build Additional property contxt is not allowed',
    'services.a.healthcheck.interval: must be a string',
  ]);
});
