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
  for (const tag of ['mon-application', 'mon-app', 'mon-app-secure'])
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

/** A home and a state folder of the guide's own. */
function placeFor(name: string): GuideRun {
  const here = join(engine.folder, 'srv', name);
  mkdirSync(here);
  const there = `/srv/${name}`;
  const env = {
    ...engine.env,
    PATH: `${dirname(command)}:${engine.env['PATH']}`,
    HOME: there,
    HOLDFAST_STATE_DIR: '/srv/holdfast',
    TZ: 'UTC',
    LC_ALL: 'C.UTF-8',
  };
  return { pid: engine.pid, home: { there, here }, env };
}

describe.each(['docs/fr/les-volumes.md'])('%s', (guide) => {
  test('each command prints what the guide shows', { retry: 0 }, async () => {
    const path = join(root, guide);
    const parts = readGuide(readFileSync(path, 'utf8'));
    const place = placeFor('boutique');
    const results = new Map<number, StepResult>();
    for (const part of parts) {
      if ('name' in part) {
        writeGuideFile(part, place);
        continue;
      }
      const result = await runStep(part, place);
      results.set(part.line, result);
      const where = `${guide}:${part.line}: $ ${part.command}\n${result.printed.join('\n')}`;
      expect.soft(result.exitCode !== 0, where).toBe(part.fails);
      if (part.varies) expect.soft(result.printed, where).not.toEqual([]);
      else if (!isUpdating)
        expect.soft(result.printed.map(comparable), where).toEqual(part.shown.map(comparable));
    }
    expect(results.size).toBeGreaterThan(0);
    if (isUpdating) updateGuide(path, results);
  });
});
