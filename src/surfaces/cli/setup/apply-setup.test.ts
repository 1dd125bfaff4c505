import { expect, test } from 'vitest';
import { AppError, type ErrorCode } from '../../../model/errors.ts';
import type { Session } from '../session.ts';
import { applySetup } from './apply-setup.ts';

test('the first backup retries what another process has locked, and nothing that has failed', async () => {
  const asked: (readonly string[])[] = [];
  const failed = (name: string, code: ErrorCode): object => ({ name, error: new AppError(code, name) });
  const runs = [
    [{ name: 'partial' }, failed('broken', 'failed'), failed('/srv', 'locked')],
    [{ name: '/srv', snapshotId: 'a' }],
  ];
  const places = ['partial', 'broken', '/srv/site'].map((name) => ({
    name,
    state: 'unprotected',
    policies: ['nightly'],
  }));
  const session = {
    signal: new AbortController().signal,
    note: () => {},
    progress: () => ({ onProgress: () => {}, [Symbol.dispose]: () => {} }),
    app: {
      policies: {
        coverage: async () => ({ places }),
        run: async ({ only }: { only: readonly string[] }) => {
          asked.push(only);
          return { backups: runs[asked.length - 1] };
        },
      },
    },
  } as unknown as Session;
  const plan = { steps: [{ kind: 'backup' } as const], stays: [], warnings: [] };
  const { backups, problems } = await applySetup(session, { plan, storeOptions: undefined });
  expect(asked).toEqual([['partial', 'broken', '/srv/site'], ['/srv/site']]);
  expect(backups).toMatchObject([{ name: 'partial' }, { name: '/srv' }]);
  expect(problems.map(({ message }) => message)).toEqual(['broken']);
});
