import { mkdtempSync, rmSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { type DirectoryVolumes, directoryVolumes } from '../../../test/support/directory-volumes.ts';
import type { EngineRecord, EngineRecords } from '../../app/app.ts';
import { AppError } from '../../model/errors.ts';
import { learnLabels } from './learn-labels.ts';

let volumes: DirectoryVolumes;
beforeEach(() => {
  const folder = mkdtempSync(join(tmpdir(), 'labels-'));
  volumes = directoryVolumes(join(folder, 'volumes'));
  return () => rmSync(folder, { recursive: true });
});

const make = async (name: string, labels: Readonly<Record<string, string>> = {}): Promise<void> => {
  await volumes.create({ name, driver: 'local', options: {}, labels });
};
const record = (name: string, labels: EngineRecord['labels'], driver = 'holdfast'): EngineRecord => ({
  name,
  driver,
  labels,
  options: {},
});
const labelsOf = async (name: string): Promise<unknown> => (await volumes.find(name))?.labels;

/** An engine that has these volumes, or one that does not answer. */
function engine(has: readonly EngineRecord[] | AppError): EngineRecords {
  const all = (): readonly EngineRecord[] => {
    if (has instanceof AppError) throw has;
    return has;
  };
  return {
    address: 'unix:///engine',
    find: async (name) => all().find((one) => one.name === name),
    list: async (driver) => all().filter((one) => one.driver === driver),
    add: async (one) => one,
    async [Symbol.asyncDispose]() {},
  };
}

async function learning(
  has: readonly EngineRecord[] | AppError,
  work: (learner: ReturnType<typeof learnLabels>) => Promise<unknown>,
): Promise<string[]> {
  const said: string[] = [];
  const source = { driver: 'holdfast', open: async () => engine(has) };
  const learner = learnLabels(Promise.resolve(volumes), source, (message) => void said.push(message));
  learner.engineAsked();
  await work(learner);
  // Lets pending questions complete.
  await setImmediate();
  await learner[Symbol.asyncDispose]();
  return said;
}

describe('the labels that an engine keeps', () => {
  const create = (name: string) => async (learner: ReturnType<typeof learnLabels>) =>
    await learner.learningOf(volumes).create({ name, driver: 'local', options: {}, labels: {} });

  test('are recorded for a volume that it makes', async () => {
    expect(await learning([record('pg', { env: 'prod' })], create('pg'))).toEqual([]);
    expect(await labelsOf('pg')).toEqual({ env: 'prod' });
  });

  test('are not requested before an engine is known to run, as a request would start it', async () => {
    let opened = 0;
    const open = async (): Promise<EngineRecords> => {
      opened += 1;
      return engine([record('pg', { env: 'prod' })]);
    };
    await using learner = learnLabels(
      Promise.resolve(volumes),
      { driver: 'holdfast', open },
      () => undefined,
    );
    await create('pg')(learner);
    await learner.lookAtAll();
    await setImmediate();
    expect(opened).toBe(0);
    learner.engineAsked();
    await learner.lookAtAll();
    expect(opened).toBe(1);
    expect(await labelsOf('pg')).toEqual({ env: 'prod' });
  });

  test.each([
    'com.docker.volume.anonymous',
    // It would make a volume in the trash go back under another name.
    'holdfast.removed-from-engine',
  ])('are remembered without "%s"', async (key) => {
    const labels = { [key]: '', env: 'prod' };
    await learning([record('pg', labels)], create('pg'));
    expect(await labelsOf('pg')).toEqual({ env: 'prod' });
  });

  test('of another driver’s volume of the same name are ignored', async () => {
    await learning([record('pg', { env: 'prod' }, 'local')], create('pg'));
    expect(await labelsOf('pg')).toEqual({});
  });

  test('are learned for volumes that were made before, and never replace labels that are here', async () => {
    await make('old');
    await make('own', { mine: 'yes' });
    const has = [record('old', { env: 'prod' }), record('own', { env: 'prod' }), record('gone', { a: 'b' })];
    expect(await learning(has, (learner) => learner.lookAtAll())).toEqual([]);
    expect(await labelsOf('old')).toEqual({ env: 'prod' });
    expect(await labelsOf('own')).toEqual({ mine: 'yes' });
  });

  test('are learned for all volumes but the one that cannot take them', async () => {
    await make('bad');
    await make('good');
    const { label } = volumes;
    volumes.label = async (name, labels) => {
      if (name === 'bad') throw new AppError('integrity', 'Its folder is gone');
      return await label(name, labels);
    };
    const has = [record('bad', { env: 'prod' }), record('good', { env: 'prod' })];
    const said = await learning(has, async (learner) => {
      await learner.lookAtAll();
      await learner.lookAtAll();
    });
    expect(said).toEqual(['The labels of "bad" are not known here: Its folder is gone']);
    expect(await labelsOf('good')).toEqual({ env: 'prod' });
  });

  test('are not waited for once the plugin stops, though another process holds a volume', async () => {
    await make('pg');
    const waits = Promise.withResolvers<void>();
    volumes.label = async (_name, _labels, { signal } = {}) => {
      const { promise, reject } = Promise.withResolvers<never>();
      signal?.addEventListener('abort', () => reject(new AppError('cancelled', 'It was cancelled')));
      waits.resolve();
      return await promise;
    };
    let looking: Promise<void> | undefined;
    const said = await learning([record('pg', { env: 'prod' })], async (learner) => {
      looking = learner.lookAtAll();
      await waits.promise;
    });
    await looking;
    expect(said).toEqual([]);
    expect(await labelsOf('pg')).toEqual({});
  });

  test('are skipped silently when no engine answers, and a volume is made all the same', async () => {
    const absent = new AppError('unavailable', 'Cannot reach Docker');
    expect(await learning(absent, create('pg'))).toEqual([]);
    expect(await learning(absent, (learner) => learner.lookAtAll())).toEqual([]);
    expect(await labelsOf('pg')).toEqual({});
  });

  test('that cannot be read are reported', async () => {
    const said = await learning(new AppError('denied', 'Cannot use Docker'), create('pg'));
    expect(said).toEqual(['The labels of "pg" are not known here: Cannot use Docker']);
  });
});
