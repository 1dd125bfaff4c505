import { expect, test } from 'vitest';
import type { BackupOutcome } from '../backup/index.ts';
import { AppError, type ErrorCode } from '../model/errors.ts';
import { someSubject } from '../../test/fixtures/fake-work.ts';
import { openPolicyWork } from './policy-work.ts';
import type { OpenedApp, PolicyApp } from './policy-app.ts';
import type { SaveJob } from './work.ts';

const subjects = ['db', 'media', 'web'].map((name) => someSubject(name, { stack: 'shop' }));

/** The outcomes of a job for all of a stack, where the engine answers for "media" with an error. */
async function backUpWith(code: ErrorCode, repository: () => Promise<unknown>): Promise<string[]> {
  const backup: PolicyApp['backup'] = {
    async run({ targets }) {
      if (targets.includes('media')) throw new AppError(code, 'Cannot inspect volume "media"');
      const outcomes = targets.map((name) => ({ kind: 'volume', name, outcome: 'good' }) as BackupOutcome);
      return { dryRun: false, outcomes, skipped: [] };
    },
  };
  const opened = {
    app: { backup },
    repository,
    recoverAtStart: async () => undefined,
    [Symbol.asyncDispose]: async () => undefined,
  };
  const work = openPolicyWork({
    source: {} as never,
    repository: undefined,
    open: () => opened as unknown as OpenedApp,
  });
  const job = { policy: { name: 'daily' }, repository: '', subjects } as unknown as SaveJob;
  return (await work.backup(job, {})).map(({ identity, outcome }) => `${identity} ${outcome}`);
}

// Missing; its plugin turned off or gone; its plugin not answering.
test.each<ErrorCode>(['not-found', 'conflict', 'failed'])(
  'a volume that an engine refuses as %s does not keep the rest of its stack from being saved',
  async (code) => {
    expect(await backUpWith(code, async () => ({ id: 'r' }))).toEqual([
      'id-db good',
      'id-media failed',
      'id-web good',
    ]);
  },
);

test('a repository that does not open ends the job at once', async () => {
  const away = (): Promise<never> => Promise.reject(new AppError('not-found', 'No repository'));
  await expect(backUpWith('not-found', away)).rejects.toMatchObject({ code: 'unavailable' });
  await expect(backUpWith('failed', away)).rejects.toMatchObject({ code: 'failed' });
});
