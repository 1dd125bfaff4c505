import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Snapshot } from '../model/snapshot.ts';
import { safetyTag } from '../snapshots/find-snapshot.ts';
import { type ForgetChoice, type ForgetPlan, planForget } from './forget-plan.ts';
import { someSnapshot } from '../../test/fixtures/some-snapshot.ts';

const limits = { allowEmpty: false, nowMs: Date.UTC(2026, 5, 1) };

/** One made on each day. */
function days(count: number, given: Partial<Snapshot> & { readonly identity?: string } = {}): Snapshot[] {
  return Array.from({ length: count }, (_, day) =>
    someSnapshot({
      id: `${given.identity ?? given.name ?? ''}${day}`,
      time: new Date(Date.UTC(2026, 0, 1 + day)).toISOString(),
      ...given,
    }),
  );
}

function rules(last: number, floor = 0): Extract<ForgetChoice, { kind: 'rules' }> {
  return { kind: 'rules', rules: { last }, floor, verified: new Set() };
}

function staying(plan: ForgetPlan): string[] {
  return plan.groups.flatMap(({ decisions }) =>
    decisions.filter(({ stays }) => stays).map(({ snapshot }) => snapshot.id),
  );
}

describe('planForget()', () => {
  test('applies the rules to each volume by itself, by its identity and not its name or machine', () => {
    const snapshots = [
      ...days(3, { identity: 'one' }),
      ...days(3, { identity: 'two' }),
      ...days(1, {
        identity: 'one',
        id: 'moved',
        hostname: 'elsewhere',
        name: 'renamed',
        time: '2026-03-01T00:00:00Z',
      }),
    ];
    const plan = planForget(snapshots, rules(1), limits);
    expect(plan.groups).toHaveLength(2);
    expect(staying(plan).toSorted()).toEqual(['moved', 'two2']);
  });

  test('a partial moment of a stack does not displace the last complete one', () => {
    const whole = days(3, { identity: 'pg' }).map((one) => ({ ...one, restorePoint: `point-${one.id}` }));
    const [, , last] = whole;
    const since = [1, 2].map((day) =>
      someSnapshot({
        ...{ id: `partial${day}`, time: `2026-02-0${day}T00:00:00Z`, identity: 'pg' },
        ...{ restorePoint: `late${day}`, missing: ['files'] },
      }),
    );
    const plan = planForget([...whole, ...since], rules(1, 1), limits);
    expect(staying(plan)).toEqual(['partial2', last?.id]);
    expect(plan.groups[0]?.decisions[2]?.reasons).toEqual(['of the newest moment that has all of its stack']);
    expect(staying(planForget(whole, rules(1, 1), limits))).toEqual([last?.id]);
  });

  test('a snapshot with a doubtful time stays, and displaces no other', () => {
    const [first, second, third] = days(3);
    const wrong = someSnapshot({ id: 'wrong', time: '2028-01-01T00:00:00Z' });
    const doubt = { kind: 'future', knownMs: limits.nowMs, reason: 'its time lies in the future' } as const;
    const snapshots = [first, second, third, wrong].filter((one) => one !== undefined);
    const plan = planForget(snapshots, rules(1, 1), { ...limits, doubts: new Map([['wrong', doubt]]) });
    expect(staying(plan)).toEqual(['wrong', third?.id]);
    expect(plan.groups[0]?.decisions[0]?.reasons).toEqual([
      'its time lies in the future; it counts for no rule, and goes by its id',
    ]);
  });

  test("each machine's snapshots of one lineage are thinned out separately", () => {
    const own = days(2, { identity: 'shared' });
    const others = days(2, { identity: 'shared' }).map((one, i) => {
      const host = { kind: 'docker', identity: 'elsewhere', name: 'elsewhere' } as const;
      const time = `2026-02-0${i + 1}T00:00:00Z`;
      return { ...one, id: `other${i}`, time, volume: one.volume && { ...one.volume, host } };
    });
    const isOwn = ({ volume }: Pick<Snapshot, 'volume'>): boolean => volume?.host.identity !== 'elsewhere';
    const plan = planForget([...own, ...others], rules(1), { ...limits, isOwn });
    expect(new Set(staying(plan))).toEqual(new Set([own[1]?.id, 'other1']));
  });

  test("groups other programs' snapshots by machine and paths, in whatever order", () => {
    const foreign = (id: string, hostname: string, paths: string[]): Snapshot =>
      someSnapshot({ id, time: `2026-01-0${id}T00:00:00Z`, hostname, paths, volume: undefined });
    const plan = planForget(
      [
        foreign('1', 'a', ['/x', '/y']),
        foreign('2', 'a', ['/y', '/x']),
        foreign('3', 'b', ['/x', '/y']),
        foreign('4', 'a', ['/x']),
      ],
      rules(1),
      limits,
    );
    expect(staying(plan).toSorted()).toEqual(['2', '3', '4']);
  });

  test('a safety snapshot does not displace a backup', () => {
    const snapshots = [
      ...days(2),
      someSnapshot({ id: 'safety', time: '2026-02-01T00:00:00Z', tags: [safetyTag] }),
    ];
    expect(staying(planForget(snapshots, rules(1), limits))).toEqual(['1', 'safety']);
  });

  test('the floor keeps the newest whole snapshots, whatever the rules say', () => {
    const [first, second, third] = days(3) as [Snapshot, Snapshot, Snapshot];
    const snapshots = [first, second, { ...third, problemCount: 2 }];
    expect(staying(planForget(snapshots, rules(1), limits))).toEqual(['2']);
    const plan = planForget(snapshots, rules(1, 1), limits);
    expect(staying(plan)).toEqual(['2', '1']);
    expect(plan.groups[0]?.decisions[1]?.reasons).toEqual(['newest whole snapshot']);
    expect(staying(planForget(snapshots, rules(1, 9), limits))).toEqual(['2', '1', '0']);
  });

  test('the floor keeps the newest verified snapshot, too', () => {
    const verified = new Set(['0', '1']);
    const choose = (floor: number): ForgetChoice => ({ kind: 'rules', rules: { last: 1 }, floor, verified });
    const plan = planForget(days(4), choose(1), limits);
    expect(staying(plan)).toEqual(['3', '1']);
    expect(plan.groups[0]?.decisions[2]?.reasons).toEqual(['newest verified snapshot']);
    expect(staying(planForget(days(4), choose(2), limits))).toEqual(['3', '2', '1', '0']);
    expect(staying(planForget(days(4), choose(0), limits))).toEqual(['3']);
  });

  test('keeps what taking back an interrupted restore needs', () => {
    const choice: ForgetChoice = { ...rules(1), needed: new Set(['0']) };
    expect(staying(planForget(days(3), choice, limits))).toEqual(['2', '0']);
  });

  test('refuses to leave a volume without a snapshot, unless that is allowed', () => {
    const none: ForgetChoice = { kind: 'rules', rules: { tags: [['x']] }, floor: 0, verified: new Set() };
    expect(planForget(days(2), none, limits).refusal).toMatchObject({
      code: 'usage',
      message: 'Cannot forget all 2 snapshots of "pg": nothing would be left',
    });
    expect(planForget(days(2), none, { ...limits, allowEmpty: true }).refusal).toBeUndefined();
    const named: ForgetChoice = { kind: 'named', ids: new Set(['0']), damaged: [] };
    expect(planForget(days(1), named, limits).refusal).toBeDefined();
    expect(planForget(days(2), named, limits).refusal).toBeUndefined();
  });

  test('no snapshots give an empty plan', () => {
    expect(planForget([], rules(1), limits)).toEqual({ groups: [], damaged: [], refusal: undefined });
  });

  test('never removes the newest snapshots for a smaller count, and gives a reason for each', () => {
    const snapshots = fc.array(
      fc.record({ day: fc.integer({ min: 0, max: 400 }), volume: fc.constantFrom('one', 'two', 'three') }),
      { maxLength: 40 },
    );
    fc.assert(
      fc.property(snapshots, fc.nat(10), fc.nat(10), (made, last, more) => {
        const all = made.map(({ day, volume }, i) =>
          someSnapshot({
            id: String(i),
            time: new Date(Date.UTC(2025, 0, day, 0, 0, i)).toISOString(),
            identity: volume,
          }),
        );
        const few = planForget(all, rules(last), limits);
        const many = staying(planForget(all, rules(last + more), limits));
        const decisions = few.groups.flatMap((group) => group.decisions);
        expect(decisions.map(({ snapshot }) => snapshot.id).toSorted()).toEqual(
          all.map(({ id }) => id).toSorted(),
        );
        expect(decisions.every(({ reasons }) => reasons.length > 0)).toBe(true);
        for (const id of staying(few)) expect(many).toContain(id);
      }),
    );
  });
});
