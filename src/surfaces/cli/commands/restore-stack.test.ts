import { expect, test } from 'vitest';
import type { StackPlan } from '../../../app/app.ts';
import { someSnapshot } from '../../../../test/fixtures/some-snapshot.ts';
import type { Session } from '../session.ts';
import { runStackRestore } from './restore-stack.ts';

type Plan = StackPlan['plans'][number];

const snapshot = someSnapshot({ id: 'ab'.repeat(32), time: '2026-03-01T12:00:00Z' });

function planOf(destination: Partial<Plan['destination']>): Plan {
  const rest = { changes: undefined, notes: [], stops: [], safetySnapshot: false, refusal: undefined };
  return { ...rest, snapshot, path: '', destination, replaces: true } as unknown as Plan;
}

function stackPlan(files: readonly string[]): StackPlan {
  const plans = files.map((name) => planOf({ kind: 'entry', name, isEmpty: false }));
  return {
    point: { stack: 'shop', id: undefined, snapshots: [snapshot], missing: [], notes: [] },
    plans: [planOf({ kind: 'volume', name: 'shop_db' })],
    config: { plans, notes: [] },
    stops: [],
    refusal: undefined,
  };
}

/** The restore request and the question to the user, who answers no. */
async function askedFor(plan: StackPlan, flags: { readonly noFiles?: boolean } = {}) {
  const asked: unknown[] = [];
  const session = {
    app: { restore: { planStack: async (request: object) => (asked.push(request), plan) } },
    signal: new AbortController().signal,
    note: () => undefined,
    confirm: async (question: string) => (asked.push(question), false),
  } as unknown as Session;
  await runStackRestore(session, { stack: 'shop', ...flags });
  return asked;
}

test('a restore of a stack also asks about the files outside its volumes', async () => {
  const [, one] = await askedFor(stackPlan(['/srv/shop/compose.yaml']));
  expect(one).toBe('Replace what is in the volumes of "shop" and write 1 file of this machine now?');
  const [, none] = await askedFor(stackPlan([]));
  expect(none).toBe('Replace what is in the volumes of "shop" now?');
});

test('a restore of a stack leaves its files out on request', async () => {
  expect((await askedFor(stackPlan([])))[0]).toMatchObject({ withFiles: true });
  expect((await askedFor(stackPlan([]), { noFiles: true }))[0]).toMatchObject({ withFiles: false });
});
