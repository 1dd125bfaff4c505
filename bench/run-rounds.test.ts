import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { dataSetNames, makeDataSet } from './data/data-sets.ts';
import { copyPeer } from './peers/copy.ts';
import type { Peer } from './peers/peer.ts';
import { newRecords, type Records } from './records.ts';
import { digestData, runRounds } from './run-rounds.ts';
import { planSteps } from './steps.ts';

const { signal } = new AbortController();
const seed = 'test';
const steps = planSteps({ withDocker: false });
const nothing = { program: 'true', args: [] };
let folder = '';

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'hf-rounds-'));
  for (const name of dataSetNames)
    await makeDataSet(name, join(folder, 'data'), { seed, scale: 0.0005, signal });
});

afterEach(() => {
  rmSync(folder, { recursive: true });
});

async function run(peers: readonly Peer[], rounds = 1): Promise<Records> {
  const records = newRecords();
  const digests = await digestData(folder, signal);
  await runRounds({
    folder,
    seed,
    rounds,
    peers,
    steps,
    records,
    digests,
    socket: undefined,
    say: () => {},
    signal,
  });
  return records;
}

const stepOf = (title: string, dataSet: string) => {
  const found = steps.find((step) => step.title === title && step.dataSet === dataSet);
  if (found === undefined) throw new Error(`no step "${title}" of "${dataSet}"`);
  return found;
};

it('measures each step once a round, proves the restored data, and leaves no round behind', async () => {
  const records = await run([copyPeer], 2);
  for (const dataSet of dataSetNames) {
    for (const title of ['first backup', 'restore']) {
      expect(records.problemOf(stepOf(title, dataSet), copyPeer)).toBeUndefined();
      expect(records.samplesOf(stepOf(title, dataSet), copyPeer)).toHaveLength(2);
    }
    expect(records.samplesOf(stepOf('unchanged backup', dataSet), copyPeer)).toEqual([]);
  }
  const [sample] = records.samplesOf(stepOf('first backup', 'media'), copyPeer);
  expect(sample?.storedBytes).toBeGreaterThan(1_000_000);
  expect(() => mkdirSync(join(folder, 'round-1'))).not.toThrow();
});

it('does not count a peer that is fast because it restores nothing', async () => {
  const liar: Peer = {
    ...copyPeer,
    name: 'liar',
    restore: (_, { dataSet, output }) => ({ program: 'mkdir', args: [join(output, dataSet)] }),
  };
  const records = await run([liar, copyPeer]);
  expect(records.problemOf(stepOf('first backup', 'files'), liar)).toMatch(
    /0 files came back instead of \d+/,
  );
  expect(records.samplesOf(stepOf('restore', 'files'), liar)).toEqual([]);
  expect(records.samplesOf(stepOf('restore', 'files'), copyPeer)).toHaveLength(1);
});

it('does not count an incremental backup that saved outdated data', async () => {
  const forgetful: Peer = {
    ...copyPeer,
    name: 'forgetful',
    saveAgain: () => ({ program: 'true', args: [] }),
  };
  const records = await run([forgetful]);
  const changed = steps.find((step) => step.changesDatabase === true);
  expect(changed).toBeDefined();
  if (changed !== undefined) expect(records.problemOf(changed, forgetful)).toMatch(/other bytes/);
  expect(records.problemOf(stepOf('restore', 'media'), forgetful)).toBeUndefined();
});

it('continues without a peer that can not create its repository', async () => {
  const broken: Peer = { ...copyPeer, name: 'broken', prepare: () => ({ program: 'false', args: [] }) };
  const records = await run([broken, copyPeer]);
  expect(records.problemOf(stepOf('first backup', 'files'), broken)).toMatch(/"false" failed/);
  expect(records.samplesOf(stepOf('first backup', 'files'), copyPeer)).toHaveLength(1);
});

it('does not check a repository whose backup failed', async () => {
  const failing: Peer = {
    ...copyPeer,
    name: 'failing',
    save: (place, request) =>
      request.dataSet === 'media'
        ? { program: 'false', args: [] }
        : (copyPeer.save?.(place, request) ?? nothing),
    check: () => nothing,
  };
  const checking: Peer = { ...copyPeer, name: 'checking', check: () => nothing };
  const records = await run([failing, checking]);
  const check = steps.find((step) => step.action === 'check');
  expect(check).toBeDefined();
  if (check === undefined) return;
  expect(records.samplesOf(check, failing)).toEqual([]);
  expect(records.samplesOf(check, checking)).toHaveLength(1);
});
