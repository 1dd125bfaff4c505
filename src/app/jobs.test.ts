import { expect, test } from 'vitest';
import { AppError } from '../model/errors.ts';
import { openJobs, type WorkOptions } from './jobs.ts';

const progress = { bytes: 1, files: 2 };

test('a job shows its subjects, its progress and its remarks as plain data, and its caller gets them too', async () => {
  const jobs = openJobs(() => 0);
  const heard: unknown[] = [];
  const options = {
    onProgress: (step: typeof progress) => heard.push(step),
    onNote: (note: string) => heard.push(note),
  };
  const result = await jobs.run({ kind: 'backup', subjects: ['pg'] }, options, async (watched) => {
    watched.onProgress(progress);
    watched.onNote('a note');
    expect(jobs.list()).toMatchObject([{ state: 'running', progress, log: ['a note'], endedAt: undefined }]);
    return 'report';
  });
  expect(result).toBe('report');
  expect(heard).toEqual([progress, 'a note']);
  const [job] = jobs.list();
  const time = '1970-01-01T00:00:00.000Z';
  expect(job).toMatchObject({
    kind: 'backup',
    subjects: ['pg'],
    state: 'good',
    startedAt: time,
    endedAt: time,
  });
  expect(jobs.find(job?.id ?? '')).toEqual(job);
  expect(JSON.parse(JSON.stringify(job))).toMatchObject({ log: ['a note'], progress });
});

test("a cancelled job sees it in its signal, as it sees its caller's, and ends as cancelled", async () => {
  const jobs = openJobs();
  const caller = new AbortController();
  const start = (): Promise<void> =>
    jobs.run({ kind: 'check', subjects: [] }, { signal: caller.signal }, waitForAbort);
  const first = start();
  const id = jobs.list()[0]?.id ?? '';
  expect(jobs.cancel(id)).toBe(true);
  await expect(first).rejects.toMatchObject({ code: 'cancelled' });
  expect(jobs.find(id)).toMatchObject({ state: 'cancelled', error: { code: 'cancelled' } });
  expect(jobs.cancel(id)).toBe(false);
  expect(jobs.cancel('unknown')).toBe(false);
  const second = start();
  caller.abort(new AppError('cancelled', 'Cancelled'));
  await expect(second).rejects.toMatchObject({ code: 'cancelled' });
});

test('a job that throws has failed, and one whose report has a failure is not good', async () => {
  const jobs = openJobs();
  const fail = async (): Promise<never> => {
    throw new AppError('unavailable', 'Cannot reach it', { hint: 'Start it.' });
  };
  await expect(jobs.run({ kind: 'prune', subjects: [] }, {}, fail)).rejects.toThrow('Cannot reach it');
  await jobs.run({ kind: 'backup', subjects: [], outcome: () => 'partial' }, {}, async () => 'report');
  const error = { code: 'unavailable', message: 'Cannot reach it', hint: 'Start it.', detail: undefined };
  expect(jobs.list()).toMatchObject([
    { state: 'failed', error },
    { state: 'partial', error: undefined },
  ]);
});

test('the last hundred ended jobs are remembered, each with its last two hundred lines', async () => {
  const jobs = openJobs();
  const runs = Promise.withResolvers<void>();
  const running = jobs.run({ kind: 'first', subjects: [] }, {}, () => runs.promise);
  for (let i = 0; i < 150; i++) await jobs.run({ kind: `job ${i}`, subjects: [] }, {}, async () => undefined);
  expect(jobs.list().map(({ kind }) => kind)).toEqual([
    'first',
    ...Array.from({ length: 100 }, (_, i) => `job ${i + 50}`),
  ]);
  runs.resolve();
  await running;
  await jobs.run({ kind: 'talks', subjects: [] }, undefined, async ({ onNote }: WorkOptions) => {
    for (let i = 0; i < 201; i++) onNote?.(`${i} ${'x'.repeat(5000)}`);
  });
  const talks = jobs.list().at(-1);
  expect(talks).toMatchObject({ kind: 'talks', droppedLines: 1 });
  expect(talks?.log).toHaveLength(200);
  expect(talks?.log[0]).toHaveLength(2000);
});

function waitForAbort({ signal }: WorkOptions): Promise<never> {
  return new Promise((_resolve, reject) => {
    signal?.addEventListener('abort', () => reject(signal.reason as Error));
  });
}
