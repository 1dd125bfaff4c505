import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type ComposeProject, type ComposeService, loadProject } from '../../src/compose/index.ts';
import { badShapes, type ComposeShape, goodShapes } from './compose-shapes.ts';

let root: string;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'compose-config-'));
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

/** `config` of the real program needs no engine. */
describe('a project is loaded as `docker compose config` prints it', () => {
  test.for(Object.entries(goodShapes))('%s', async ([name, shape]) => {
    const folder = write(name, shape);
    const judged = await judge(folder, shape);
    expect(judged.error).toBeUndefined();
    const own = await loadProject(requestFor(folder, shape));
    expect(own.problems.filter(({ kind }) => kind === 'error')).toEqual([]);
    // What Compose prints is a Compose file itself, without anything left to fill in or to look up.
    const printed = join(folder, 'printed.yaml');
    writeFileSync(printed, withSilentFlags(judged.output));
    const theirs = await loadProject({ files: [printed], env: {}, profiles: ['*'] });
    expect(facts(own)).toEqual(facts(theirs));
  });
});

describe('what `docker compose config` refuses is an error with its place', () => {
  test.for(Object.entries(badShapes))('%s', async ([name, shape]) => {
    const folder = write(`bad ${name}`, shape);
    expect((await judge(folder, shape)).error).toBeDefined();
    const { problems } = await loadProject(requestFor(folder, shape));
    const errors = problems.filter(({ kind }) => kind === 'error');
    const [{ message, position } = { message: 'nothing', position: undefined }] = errors;
    expect(message).toMatch(shape.says);
    const { file = '', line, column } = position ?? {};
    expect(`${relative(folder, file)}:${line}:${column}`).toBe(shape.at);
  });
});

function write(name: string, { files }: ComposeShape): string {
  const folder = join(root, name.replaceAll(/[^a-z0-9]+/gi, '-').toLowerCase());
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
  mkdirSync(join(folder, 'elsewhere'), { recursive: true });
  return folder;
}

function requestFor(folder: string, shape: ComposeShape): Parameters<typeof loadProject>[0] {
  return {
    files: shape.named,
    directory: join(folder, shape.from ?? '.'),
    projectDirectory: shape.projectDirectory,
    envFiles: shape.envFiles,
    projectName: shape.projectName,
    profiles: shape.profiles,
    env: environment(shape),
  };
}

function environment(shape: ComposeShape): Record<string, string> {
  return { HOME: '/home/tester', PATH: '/usr/bin:/bin', ...shape.env };
}

async function judge(folder: string, shape: ComposeShape): Promise<{ output: string; error?: string }> {
  const options = [
    ...(shape.named ?? []).flatMap((file) => ['--file', file]),
    ...(shape.profiles ?? []).flatMap((profile) => ['--profile', profile]),
    ...(shape.envFiles ?? []).flatMap((file) => ['--env-file', file]),
    ...(shape.projectName === undefined ? [] : ['--project-name', shape.projectName]),
    ...(shape.projectDirectory === undefined ? [] : ['--project-directory', shape.projectDirectory]),
  ];
  try {
    const { stdout } = await promisify(execFile)('docker-compose', [...options, 'config'], {
      cwd: join(folder, shape.from ?? '.'),
      env: environment(shape),
    });
    return { output: stdout };
  } catch (error) {
    return { output: '', error: String((error as { stderr?: string }).stderr) };
  }
}

/** Compose prints `create_host_path: true` and leaves the other value out, which would read as the default. */
function withSilentFlags(printed: string): string {
  return printed
    .replaceAll(/^( +)bind: \{\}$/gm, '$1bind: { create_host_path: false }')
    .replaceAll(
      /^( +)bind:\n(?!(?:\1 +.*\n)*?\1 +create_host_path)/gm,
      '$1bind:\n$1  create_host_path: false\n',
    );
}

/** All that the contract has of a project, but for places and for what Compose leaves out when nothing uses it. */
function facts(project: ComposeProject): unknown {
  const used = new Set(
    [...project.services.values()].flatMap(({ mounts }) =>
      mounts.flatMap(({ mount }) => (mount.type === 'volume' ? (mount.source ?? []) : [])),
    ),
  );
  return {
    name: project.name,
    services: [...project.services.values()].map(factsOfService),
    volumes: [...project.volumes.values()].filter(({ key }) => used.has(key)).toSorted(byKey),
    configs: [...project.configs.values()].toSorted(byKey),
    secrets: [...project.secrets.values()].toSorted(byKey),
    extensions: project.extensions,
  };
}

function byKey({ key }: { readonly key: string }, { key: other }: { readonly key: string }): number {
  return key < other ? -1 : 1;
}

function factsOfService(service: ComposeService): unknown {
  const { raw: _raw, ...known } = service;
  const plain = { ...known, environment: sorted(known.environment), dependsOn: sorted(known.dependsOn) };
  return JSON.parse(
    JSON.stringify(plain, (key, value: unknown) =>
      ['path', 'position', 'raw'].includes(key) ? undefined : value,
    ),
  );
}

function sorted<T>(map: ReadonlyMap<string, T>): [string, T][] {
  return [...map].toSorted(([one], [other]) => (one < other ? -1 : 1));
}
