import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { AppError } from '../model/errors.ts';
import type { ComposeProject, ComposeRequest } from './compose-project.ts';
import { loadProject } from './load-project.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'hostile-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function load(
  files: Readonly<Record<string, string>>,
  request: Partial<ComposeRequest> = {},
): Promise<ComposeProject> {
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  return loadProject({ directory: folder, env: {}, ...request });
}

function only(text: string): Promise<ComposeProject> {
  return load({ 'compose.yaml': text });
}

const lines = (count: number, line: (index: number) => string): string =>
  Array.from({ length: count }, (_, index) => line(index)).join('\n');

describe('a file that would cost too much is refused', () => {
  test.for<readonly [string, string, RegExp]>([
    [
      'aliases of aliases',
      `x-0: &a0 [${'lol,'.repeat(9)}lol]\n${lines(9, (index) => `x-${index + 1}: &a${index + 1} [${`*a${index},`.repeat(9)}*a${index}]`)}\n`,
      /more than 300000 values/,
    ],
    [
      'merge keys of merge keys',
      `x-0: &a0 { ${lines(500, (index) => `k${index}: v,`).replaceAll('\n', ' ')} }\n${lines(9, (index) => `x-${index + 1}: &a${index + 1} { <<: [${`*a${index},`.repeat(9)}*a${index}], n: 1 }`)}\n`,
      /more than 300000 values/,
    ],
    ['an alias that holds itself', 'x-a: &a [*a]\n', /compose\.yaml:1:10: .*holds itself/],
    ['a mapping that holds itself', 'x-a: &a { b: { c: *a } }\n', /compose\.yaml:1:19: .*holds itself/],
    ['lists in lists', `x-a: ${'['.repeat(50_000)}`, /deeper than 100 levels/],
    ['mappings in mappings', `x-a: ${'{a: '.repeat(50_000)}`, /deeper than 100 levels/],
    ['entries of entries', `x-a:\n  ${'- '.repeat(50_000)}`, /deeper than 100 levels/],
    [
      'keys of keys',
      lines(2000, (index) => `${' '.repeat(index)}a:`).slice(0, 900_000),
      /deeper than 100 levels/,
    ],
    [
      'aliases that lie deep',
      `x-0: &a0 [x]\n${lines(200, (index) => `x-${index + 1}: &a${index + 1} [*a${index}]`)}\n`,
      /deeper than 100 levels/,
    ],
    ['very many parts', lines(80_000, (index) => `x-${index}: a`).slice(0, 1_000_000), /too many parts/],
    ['a text of very many lines', `x-a: "${'a\n  '.repeat(20_000)}"`, /too many lines/],
    ['more than a mebibyte', `#${'x'.repeat(1 << 20)}`, /larger than 1 MiB/],
    ['anchors without an end', `x-a: ${'&a '.repeat(300_000)}`, /too many parts|one anchor/],
    ['control characters', 'services: { a: { image: "a\u0000" } }', /compose\.yaml:1:27: control characters/],
  ])('%s', async ([, text, message]) => {
    await expect(only(text)).rejects.toMatchObject({
      code: 'usage',
      message: expect.stringMatching(message),
    });
  });

  test('a chain of variables that double', async () => {
    const env = `A0=${'x'.repeat(1000)}\n${lines(40, (index) => `A${index + 1}=\${A${index}}\${A${index}}`)}\n`;
    await expect(
      load({ 'compose.yaml': 'services: { a: { image: $A40 } }', '.env': env }),
    ).rejects.toMatchObject({
      code: 'usage',
      message: expect.stringContaining('more than 16 MiB of text'),
    });
  });

  test('a large variable that is filled in everywhere', async () => {
    const text = `services: { a: { image: a, labels: [${'"$BIG$BIG",'.repeat(5000)}] } }`;
    await expect(load({ 'compose.yaml': text }, { env: { BIG: 'x'.repeat(100_000) } })).rejects.toMatchObject(
      {
        message: expect.stringContaining('16 MiB of text'),
      },
    );
  });

  test('very many services that extend a large one', async () => {
    const base = `services:\n  base:\n    image: a\n    labels:\n${lines(5000, (index) => `      l${index}: v`)}\n`;
    await expect(
      only(`${base}\n${lines(1000, (index) => `  s${index}: { extends: base }`)}\n`),
    ).rejects.toMatchObject({
      message: expect.stringContaining('more than 300000 values'),
    });
  });

  test('a file that includes two others, each of which includes two others', async () => {
    const names = Array.from({ length: 30 }, (_, index) => `f${index}.yaml`);
    const files = Object.fromEntries(
      names.map((name, index) => [
        name,
        `include: [${index < 29 ? `f${index + 1}.yaml, ./f${index + 1}.yaml` : ''}]\nx-a: [${'a,'.repeat(100)}]\n`,
      ]),
    );
    await expect(load({ ...files, 'compose.yaml': 'include: [f0.yaml]\n' })).rejects.toMatchObject({
      code: 'usage',
    });
  });
});

test.each(['utf16le', 'utf16be'] as const)('a file in %s is read, as Compose reads it', async (encoding) => {
  const bytes = Buffer.from('\ufeffservices: { a: { image: "é" } }\n', 'utf16le');
  writeFileSync(join(folder, 'compose.yaml'), encoding === 'utf16le' ? bytes : bytes.swap16());
  const project = await load({});
  expect(project.problems).toEqual([]);
  expect(project.services.get('a')?.image).toBe('é');
});

test('a file that is not UTF-8 is refused with the place, as other names would be read', async () => {
  writeFileSync(join(folder, 'compose.yaml'), Buffer.from('services:\n  a: { image: "\xe9" }\n', 'latin1'));
  await expect(load({})).rejects.toMatchObject({
    code: 'usage',
    message: expect.stringMatching(/compose\.yaml:2:16: it is not UTF-8/),
  });
});

describe('what can be told is a problem with its place, and the rest is read', () => {
  const errorsOf = ({ problems }: ComposeProject): string[] =>
    problems
      .filter(({ kind }) => kind === 'error')
      .map(({ message, position }) => `${position.line}: ${message}`);

  test('defaults nested without an end', async () => {
    const project = await only(
      `services:\n  a: { image: "${'${A:-'.repeat(2000)}${'}'.repeat(2000)}" }\n  b: { image: b }\n`,
    );
    expect(errorsOf(project)[0]).toMatch(
      /^2: error while interpolating services\.a\.image: variables are nested deeper/,
    );
    expect(project.services.get('b')?.image).toBe('b');
  });

  test('a chain of a thousand services that extend each other', async () => {
    const project = await only(
      `services:\n  s0: { image: a }\n${lines(1000, (index) => `  s${index + 1}: { extends: s${index} }`)
        .split('\n')
        .toReversed()
        .join('\n')}\n`,
    );
    expect(errorsOf(project).some((error) => error.includes('circular reference'))).toBe(true);
    expect(project.services.size).toBe(1001);
  });

  test('pipes, devices, folders and files that are not there', async () => {
    execFileSync('mkfifo', [join(folder, 'pipe')]);
    const project = await only(
      [
        'include: [pipe, /dev/zero, ".", gone.yaml]',
        'services:',
        '  a: { image: a, env_file: pipe }',
        '  b: { image: b, env_file: /dev/zero }',
        '  c: { image: c, extends: { file: pipe, service: x } }',
        '  d: { image: d, extends: { file: /proc/self, service: x } }',
        '  e: { image: e, extends: { file: gone.yaml, service: x } }',
      ].join('\n'),
    );
    expect(errorsOf(project)).toHaveLength(9);
    expect([...project.services.keys()]).toEqual(['a', 'b', 'c', 'd', 'e']);
    await expect(load({}, { files: ['pipe'] })).rejects.toMatchObject({
      message: expect.stringContaining('not a regular file'),
    });
  });

  test('a NUL and control characters in names of files', async () => {
    const project = await only(
      'services:\n  a: { image: a, env_file: "x\\0y" }\n  b: { image: b, extends: { file: "\\e[2J\\n", service: x } }\n',
    );
    expect(errorsOf(project)).toEqual([
      expect.stringContaining(String.raw`\x1b[2J\n": it does not exist`),
      expect.stringContaining(String.raw`\x00y": its name holds a NUL`),
    ]);
  });

  test('names of services that no engine would take', async () => {
    const project = await only(
      'services: { "a\\e[31m": { image: a }, "../x": { image: b }, __proto__: { image: c } }',
    );
    expect(errorsOf(project)).toEqual([
      String.raw`1: services: the name "a\x1b[31m" is not allowed`,
      '1: services: the name "../x" is not allowed',
    ]);
    expect(project.services.get('__proto__')?.image).toBe('c');
  });

  test('addresses from which Compose would fetch', async () => {
    const project = await only(
      'include: [https://example.com/c.yaml, "oci://a/b"]\nservices: { a: { image: a, extends: { file: "git@x:y", service: z } } }\n',
    );
    expect(errorsOf(project)).toHaveLength(3);
    expect(errorsOf(project).every((error) => error.includes('fetched from elsewhere'))).toBe(true);
  });

  test('paths that leave the project are followed as Compose follows them, and are absolute', async () => {
    const project = await only(
      'services: { a: { image: a, volumes: ["../../../../../../../../../etc:/etc", "./a/../../b:/b"] } }',
    );
    expect(
      project.services.get('a')?.mounts.map(({ mount }) => mount.type === 'bind' && mount.source),
    ).toEqual(['/etc', join(folder, '../b')]);
  });
});

test('any values in any fields cause problems, never another error', async () => {
  const fields = [
    ...[
      'volumes',
      'environment',
      'build',
      'depends_on',
      'extends',
      'env_file',
      'labels',
      'configs',
      'secrets',
      'tmpfs',
    ],
    ...[
      'devices',
      'networks',
      'healthcheck',
      'volumes_from',
      'network_mode',
      'command',
      'ports',
      'deploy',
      'profiles',
    ],
    ...['links', 'privileged', 'user', 'logging', 'ulimits', 'x-y', 'dns', 'cap_add', 'image'],
  ];
  const value = fc.letrec<{ any: unknown }>((tie) => ({
    any: fc.oneof(
      { depthSize: 'small' },
      fc.constantFrom('a', './a:/b', '', '${A}', 'x=y', '/run', 'service:a', null, true, 0, 5, -1.5),
      fc.array(tie('any'), { maxLength: 3 }),
      fc.dictionary(
        fc.constantFrom('source', 'target', 'type', 'path', 'a', 'file', 'service', 'test', '<<'),
        tie('any'),
        {
          maxKeys: 3,
        },
      ),
    ),
  })).any;
  const section = fc.oneof(
    value,
    fc.dictionary(
      fc.constantFrom('a', 'b'),
      fc.oneof(value, fc.dictionary(fc.constantFrom(...fields), value)),
    ),
  );
  const top = fc.dictionary(
    fc.constantFrom('services', 'volumes', 'configs', 'secrets', 'networks', 'include', 'name', 'x-z'),
    section,
  );
  await fc.assert(
    fc.asyncProperty(top, top, async (one, other) => {
      const files = { 'compose.yaml': JSON.stringify(one), 'compose.override.yaml': JSON.stringify(other) };
      const project = await load(files).catch((error: unknown) => {
        if (error instanceof AppError) return undefined;
        throw error;
      });
      for (const { position } of project?.problems ?? []) expect(position.line).toBeGreaterThan(0);
    }),
    { numRuns: 300 },
  );
});
