import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openApp } from '../../src/app.ts';
import { openDirectoryHost } from '../fixtures/directory-host.ts';
import { openHostVolumes, type HostVolumes } from '../../src/volumes/index.ts';
import { DirectoryHandle } from '../../src/lib/directory-handle.ts';
import { emptyDirectory } from '../../src/lib/remove-tree.ts';
import { treeFacts } from '../support/tree-facts.ts';
import { attackerUid } from './attacker.ts';
import { makeSwapScene, makeTree, own, type SwapScene } from './swap-scene.ts';

/** Import, clone and copies as root in a volume whose folder another user can change. */

let scene: SwapScene;
beforeEach(() => {
  scene = makeSwapScene();
});
afterEach(() => scene[Symbol.dispose]());

/** Returns the path of a new volume's data. */
async function create(engine: HostVolumes, name: string): Promise<string> {
  const { mountpoint = '' } = await engine.create({ ...plain, name });
  return mountpoint;
}

const plain = { driver: 'local', labels: {}, options: {} };

/** Two sources, so that each round changes something. Returns their contents. */
async function makeSources(engine: HostVolumes): Promise<{ readonly [name: string]: string }> {
  const held: Record<string, string> = {};
  for (const name of ['source-0', 'source-1']) {
    const mountpoint = await create(engine, name);
    makeTree(mountpoint, name);
    own(mountpoint, { uid: attackerUid, mode: 0o777 });
    await engine.export({ volume: name, to: { kind: 'path', path: join(scene.folder, `${name}.tar`) } });
    held[name] = seen(mountpoint);
  }
  return held;
}

/** Without the attacker's entries, and those that the attacker kept from being removed. */
function seen(root: string): string {
  return treeFacts(root, { without: ['directoryTimes'] })
    .filter((line) => !/^"(lost\+found|\.holdfast-)/.test(line))
    .join('\n');
}

/** The written data has one of these names, which may change during the look. */
function expectAt(places: readonly string[], wanted: string | undefined): void {
  let found: string[] = [];
  for (let looks = 0; looks < 2000 && !found.includes(wanted ?? ''); looks++)
    found = places.map((place) => {
      try {
        return seen(place);
      } catch {
        return '';
      }
    });
  expect(found).toContain(wanted);
}

const sourceOf = (round: number): string => `source-${round % 2}`;
const archiveOf = (round: number) =>
  ({ kind: 'path', path: join(scene.folder, `${sourceOf(round)}.tar`) }) as const;

test('a bind volume whose device is replaced by a symbolic link is filled where it is, or not at all', async () => {
  await using app = openApp({
    ...{ stateDir: join(scene.folder, 'state'), repository: undefined },
    ...{ host: 'embedded', dataWay: 'auto', passwordReference: undefined, env: process.env },
  });
  await app.recoverAtStart('host');
  const engine = await app.volumes.onHost();
  const held = await makeSources(engine);
  const options = { type: 'none', o: 'bind', device: scene.data };
  await engine.create({ ...plain, options, name: 'bound' });
  try {
    const done = await scene.under({ what: 'target' }, 25, async (round) => {
      await engine.import({ volume: 'bound', from: archiveOf(round), merge: true });
      expectAt([scene.data, join(scene.home, 'link')], held[sourceOf(round)]);
    });
    expect(done).toBeGreaterThan(0);
  } finally {
    await engine.remove(['bound'], { permanent: true });
  }
});

test('a volume whose folder is swapped with a symbolic link is filled where it is, or not at all', async () => {
  const host = openDirectoryHost(scene.home, 'direct');
  const engine = openHostVolumes({ host, leases: undefined });
  const held = await makeSources(engine);
  const mountpoint = await create(engine, 'data');
  own(join(scene.home, 'volumes'), { uid: attackerUid, mode: 0o777 });
  const places = [mountpoint, join(scene.home, 'volumes/link')];
  const works = {
    import: (round: number) => engine.import({ volume: 'data', from: archiveOf(round) }),
    merge: (round: number) => engine.import({ volume: 'data', from: archiveOf(round), merge: true }),
    clone: (round: number) => engine.clone({ from: sourceOf(round), to: 'data' }),
    copyIn: (round: number) =>
      engine.copyIn({
        from: { kind: 'path', path: `${host.path(sourceOf(round))}/.` },
        to: { volume: 'data', path: '' },
      }),
  };
  using folder = DirectoryHandle.open(mountpoint);
  for (const [name, work] of Object.entries(works))
    await scene.under({ what: 'target', cwd: join(scene.home, 'volumes') }, 15, async (round) => {
      if (name === 'import' || name === 'clone') await emptyDirectory(folder);
      await work(round);
      expectAt(places, held[sourceOf(round)]);
    });
});

test.each([
  { what: 'import-stage', isLockedIn: false },
  { what: 'import-link', isLockedIn: false },
  { what: 'import-stage', isLockedIn: true },
] as const)(
  'a stage that goes to another folder leads an import nowhere: $what, $isLockedIn',
  async (attack) => {
    const engine = openHostVolumes({ host: openDirectoryHost(scene.folder, 'direct'), leases: undefined });
    const held = await makeSources(engine);
    const mountpoint = await create(engine, 'target');
    own(mountpoint, { uid: attackerUid, mode: 0o777 });
    chmodSync(join(scene.folder, 'volumes'), 0o711);
    using folder = DirectoryHandle.open(mountpoint);
    const done = await scene.under({ ...attack, cwd: mountpoint }, 30, async (round) => {
      await emptyDirectory(folder);
      await engine.import({ volume: 'target', from: archiveOf(round) });
      expectAt([mountpoint], held[sourceOf(round)]);
    });
    expect(done).toBeGreaterThan(0);
  },
);
