import { mkdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runCommand } from '../../scripts/run-command.ts';
import { importImages } from '../docker/images.ts';
import { type PrivateEngine, startPrivateEngine } from '../docker/private-engine.ts';
import { command } from '../support/holdfast-command.ts';
import {
  comparable,
  type GuideRun,
  readGuide,
  runStep,
  type StepResult,
  updateGuide,
  writeGuideFile,
} from './guide-commands.ts';

const root = join(import.meta.dirname, '../..');
/** `UPDATE_GUIDES=1` writes what the commands print into the guides. */
const isUpdating = process.env['UPDATE_GUIDES'] === '1';

let engine: PrivateEngine;
beforeAll(async () => {
  engine = await startPrivateEngine({ hasOwnSrv: true });
  await engine.importBusybox();
  await importImages(engine);
  for (const tag of ['mon-application', 'mon-app', 'mon-app-secure', 'shop-app'])
    await engine.docker(['import', '-c', 'CMD ["sleep", "100000"]', await busybox(), `${tag}:latest`]);
});
afterAll(async () => {
  // The place of a mount is immutable while nothing is mounted there.
  if (engine !== undefined) await runCommand('chattr', ['-R', '-f', '-i', join(engine.folder, 'srv')]);
  await engine?.[Symbol.asyncDispose]();
});

async function busybox(): Promise<string> {
  const archive = join(engine.folder, 'busybox.tar');
  const id = await engine.docker(['create', 'busybox', 'true']);
  await engine.docker(['export', '-o', archive, id]);
  await engine.docker(['rm', id]);
  return archive;
}

/** A home and a state folder of a guide's own. */
function placeFor({ name, stateDir }: Guide): GuideRun {
  const here = join(engine.folder, 'srv', name);
  mkdirSync(here);
  const there = `/srv/${name}`;
  const env = {
    ...engine.env,
    PATH: `${dirname(command)}:${engine.env['PATH']}`,
    HOME: there,
    HOLDFAST_STATE_DIR: stateDir,
    TZ: 'UTC',
    LC_ALL: 'C.UTF-8',
  };
  return { pid: engine.pid, home: { there, here }, env };
}

interface Guide {
  readonly path: string;
  /** The folder where its reader is, below `/srv`. */
  readonly name: string;
  readonly stateDir: string;
  /** What its reader has done before, which the guide does not show. */
  readonly before: readonly string[];
}

const guides: readonly Guide[] = [
  { path: 'docs/fr/les-volumes.md', name: 'boutique', stateDir: '/srv/holdfast', before: [] },
  {
    path: 'README.md',
    name: 'shop',
    stateDir: '/srv/holdfast-shop',
    before: [
      // A disk of its own.
      'mkdir /srv/backup && mount -t tmpfs none /srv/backup && holdfast init --repo /srv/backup/holdfast',
      "echo 'policies: { nightly: { everything: true } }' > /srv/holdfast-shop/holdfast.yaml",
      // What other guides have left.
      'docker ps -aq | xargs -r docker rm -f; docker volume ls -q | xargs -r docker volume rm',
    ],
  },
];

describe.each(guides)('$path', (guide) => {
  test('each command prints what the guide shows', { retry: 0, timeout: 900_000 }, async () => {
    const path = join(root, guide.path);
    const parts = readGuide(readFileSync(path, 'utf8'));
    const place = placeFor(guide);
    for (const command of guide.before) {
      const { exitCode, printed } = await runStep({ command }, place);
      if (exitCode !== 0) throw new Error(`"${command}" failed: ${printed.join('\n')}`);
    }
    const results = new Map<number, StepResult>();
    for (const part of parts) {
      if ('name' in part) {
        writeGuideFile(part, place);
        continue;
      }
      const result = await runStep(part, place);
      results.set(part.line, result);
      const where = `${guide.path}:${part.line}: $ ${part.command}\n${result.printed.join('\n')}`;
      expect.soft(result.exitCode !== 0, where).toBe(part.fails);
      if (part.varies) expect.soft(result.printed, where).not.toEqual([]);
      else if (!isUpdating)
        expect.soft(result.printed.map(comparable), where).toEqual(part.shown.map(comparable));
    }
    expect(results.size).toBeGreaterThan(0);
    if (isUpdating) updateGuide(path, results);
  });
});
