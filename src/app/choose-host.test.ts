import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import type { EngineProbe } from '../hosts/docker/index.ts';
import type { Host } from '../hosts/host.ts';
import { chooseHost } from './choose-host.ts';

let stateDir: string;
beforeEach(() => {
  stateDir = mkdtempSync(join(tmpdir(), 'choose-host-'));
  return () => rmSync(stateDir, { recursive: true });
});

interface World {
  /** Engines that answer. */
  readonly answers?: readonly string[];
  /** Those whose address the user chose. */
  readonly chosen?: readonly string[];
  readonly own?: boolean;
  readonly address?: string;
  /** Podman answers at Docker's address. */
  readonly isStandIn?: boolean;
}

/** The result of `auto`: an engine, one that is only named, or Holdfast's own volumes. */
async function choose(world: World): Promise<string> {
  const { answers = [], chosen = [], own = false, address = 'usual', isStandIn = false } = world;
  const said: string[] = [];
  const hostOf = (name: string, kind?: string): Host => {
    said.push(name);
    return { kind, async [Symbol.asyncDispose]() {} } as unknown as Host;
  };
  const probe = (kind: 'docker' | 'podman'): EngineProbe => ({
    kind,
    place: async () => ({ address: `${kind} ${address}`, explicit: chosen.includes(kind) }),
    probe: async () =>
      answers.includes(kind) ? hostOf(kind, kind === 'docker' && isStandIn ? 'podman' : kind) : undefined,
    openAbsent: async (hint) => hostOf(`absent ${kind}: ${hint}`),
  });
  const host = await chooseHost({
    stateDir,
    probes: { docker: probe('docker'), podman: probe('podman') },
    hasOwnVolumes: async () => own,
  });
  return host === undefined ? 'embedded' : (said.at(-1) ?? '');
}

test('Docker goes before Podman, and without either the volumes are Holdfast’s own', async () => {
  expect(await choose({})).toBe('embedded');
  expect(await choose({ answers: ['docker', 'podman'] })).toBe('docker');
});

test('an engine that had the volumes and is down is not replaced', async () => {
  for (const kind of ['docker', 'podman']) {
    const other = kind === 'docker' ? 'podman' : 'docker';
    rmSync(join(stateDir, 'host.json'), { force: true });
    expect(await choose({ answers: [kind] })).toBe(kind);
    expect(await choose({ own: true })).toMatch(`absent ${kind}: This engine had the volumes. Start it.`);
    expect(await choose({ answers: [other] })).toMatch(`absent ${kind}`);
    expect(await choose({ answers: ['docker', 'podman'] })).toBe(kind);
  }
});

test('an engine that was reached at another address is named with it', async () => {
  await choose({ answers: ['docker'], chosen: ['docker'], address: 'ssh' });
  expect(await choose({})).toMatch(
    'This engine at "docker ssh" had the volumes. Start it, or set DOCKER_HOST',
  );
});

test('an engine that DOCKER_HOST names is taken, and the remembered host stays', async () => {
  await choose({ answers: ['podman'] });
  const remembered = readFileSync(join(stateDir, 'host.json'), 'utf8');
  expect(await choose({ answers: ['docker', 'podman'], chosen: ['docker'] })).toBe('docker');
  expect(readFileSync(join(stateDir, 'host.json'), 'utf8')).toBe(remembered);
});

test('an engine that appears where Holdfast kept the volumes is a conflict', async () => {
  expect(await choose({ own: true })).toBe('embedded');
  await expect(choose({ own: true, answers: ['docker'] })).rejects.toMatchObject({
    code: 'conflict',
    hint: expect.stringContaining('host: docker'),
  });
  expect(await choose({ own: false, answers: ['docker'] })).toBe('docker');
  expect(await choose({ own: true, answers: ['docker'] })).toBe('docker');
});

test('a remembered host that cannot be read or written is ignored', async () => {
  writeFileSync(join(stateDir, 'host.json'), '{"kind":');
  expect(await choose({})).toBe('embedded');
  expect(await choose({ answers: ['docker'] })).toBe('docker');
  expect(await choose({})).toMatch('absent docker');
  stateDir = join(stateDir, 'nothing');
  expect(await choose({ answers: ['docker'] })).toBe('docker');
  expect(await choose({})).toBe('embedded');
  stateDir = join(stateDir, '..');
});

describe("Podman at Docker's address", () => {
  const remembered = (): unknown => JSON.parse(readFileSync(join(stateDir, 'host.json'), 'utf8'));

  test('is remembered as Podman, and found there again', async () => {
    expect(await choose({ answers: ['docker'], isStandIn: true })).toBe('docker');
    expect(remembered()).toMatchObject({ kind: 'podman', endpoint: 'docker usual' });
    expect(await choose({ answers: ['docker'], isStandIn: true })).toBe('docker');
    expect(await choose({})).toMatch('absent podman: This engine at "docker usual" had the volumes');
  });

  test('is not replaced by a Docker that appears there', async () => {
    await choose({ answers: ['docker'], isStandIn: true });
    expect(await choose({ answers: ['docker'] })).toMatch('absent podman');
    expect(remembered()).toMatchObject({ kind: 'podman', endpoint: 'docker usual' });
  });

  test('does not replace a Docker that had the volumes', async () => {
    await choose({ answers: ['docker'] });
    await expect(choose({ answers: ['docker'], isStandIn: true })).rejects.toMatchObject({
      code: 'conflict',
      hint: expect.stringContaining('host: podman') as string,
    });
    expect(remembered()).toMatchObject({ kind: 'docker', endpoint: 'docker usual' });
  });

  test('is taken where an earlier version took it for Docker, and only once', async () => {
    const file = join(stateDir, 'host.json');
    const before = '{"kind":"docker","endpoint":"docker usual"}\n';
    writeFileSync(file, before);
    expect(await choose({ answers: ['docker'], isStandIn: true })).toBe('docker');
    expect(remembered()).toMatchObject({ kind: 'podman' });
    writeFileSync(file, before);
    expect(await choose({ answers: ['docker'] })).toBe('docker');
    await expect(choose({ answers: ['docker'], isStandIn: true })).rejects.toMatchObject({
      code: 'conflict',
    });
  });
});
