import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ConfigReader } from '../../backup/config-files/read-files.ts';
import { openFreshRepository } from '../../../test/fixtures/open-repository.ts';
import type { ServerPlan } from './choose-server.ts';
import { trialFiles } from './trial-files.ts';

test('a trial does without a file that was added to a saved folder later', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'trial-'));
  await using opened = await openFreshRepository();
  try {
    const conf = join(folder, 'conf');
    for (const path of [conf, join(folder, 'data')]) mkdirSync(path);
    writeFileSync(join(conf, 'site'), 'x');
    const reader = new ConfigReader();
    await reader.add({ path: conf, as: 'either', isOptional: false });
    const config = { files: reader.files, record: { saved: reader.saved, leftOut: [] } };
    const { snapshot } = await opened.save(join(folder, 'data'), { config });
    if (snapshot === undefined) throw new Error('Nothing was saved');
    const binds = [join(conf, 'later'), join(conf, 'site')].map((source) => ({ source, destination: '/x' }));
    const plan = { binds } as unknown as ServerPlan;
    const files = await trialFiles(opened.repository, { plan, snapshot }, {});
    expect(files.map(({ entry, content }) => [entry.path, String(content)])).toEqual([['x', 'x']]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
