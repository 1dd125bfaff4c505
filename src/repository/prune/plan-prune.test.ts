import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { UnusedLimit } from '../../model/unused-limit.ts';
import type { PackUsage } from './pack-usage.ts';
import { planPrune, type PrunePlan } from './plan-prune.ts';

const mebi = 2 ** 20;
let made = 0;

/** A pack by how much of it is used and unused, in MiB. */
function pack(usedMebi: number, unusedMebi: number, more: Partial<PackUsage> = {}): PackUsage {
  return {
    id: `pack-${String(made++).padStart(6, '0')}`,
    sizeBytes: (usedMebi + unusedMebi) * mebi,
    kind: 'data',
    usedBlobs: usedMebi,
    usedBytes: usedMebi * mebi,
    unusedBlobs: unusedMebi,
    unusedBytes: unusedMebi * mebi,
    duplicateBlobs: 0,
    duplicateBytes: 0,
    ...more,
  };
}

interface Request {
  readonly maxUnused?: UnusedLimit;
  readonly maxRepackBytes?: number;
  /** Packs that are stored and in no index. */
  readonly leftovers?: readonly string[];
  readonly missing?: readonly string[];
}

function plan(packs: readonly PackUsage[], request: Request = {}): PrunePlan {
  const { maxUnused = { kind: 'bytes', bytes: 0 }, maxRepackBytes, leftovers = [], missing = [] } = request;
  const stored = packs
    .filter(({ id }) => !missing.includes(id))
    .map(({ id, sizeBytes }) => ({ name: id, sizeBytes }));
  const extra = leftovers.map((name) => ({ name, sizeBytes: 3 * mebi }));
  return planPrune({ packs, stored: [...stored, ...extra] }, { maxUnused, maxRepackBytes });
}

describe('planPrune()', () => {
  test('removes unused packs, repacks partly used ones, and leaves the rest', () => {
    const [whole, half, none] = [pack(16, 0), pack(8, 8), pack(0, 16)];
    const result = plan([whole, half, none], { leftovers: ['stray'] });
    expect(result).toMatchObject({
      remove: [none.id],
      repack: [half.id],
      unreferenced: ['stray'],
      absent: [],
    });
    expect(result.summary).toMatchObject({
      packs: { count: 4, bytes: 51 * mebi },
      used: { bytes: 24 * mebi },
      unused: { bytes: 24 * mebi },
      freedBytes: (16 + 8 + 3) * mebi,
      unusedAfterBytes: 0,
    });
  });

  test('repacks the emptiest packs first, until the unused rest is within the limit', () => {
    const packs = [pack(15, 1), pack(4, 12), pack(10, 6)];
    const percent = (value: number): Request => ({ maxUnused: { kind: 'percent', percent: value } });
    // 29 MiB are used: 5% of all data then is 1.5 MiB.
    expect(plan(packs, percent(5)).repack).toEqual([packs[1]?.id, packs[2]?.id]);
    expect(plan(packs, percent(20)).repack).toEqual([packs[1]?.id]);
    expect(plan(packs, percent(50)).repack).toEqual([]);
    expect(plan(packs, percent(0)).repack).toHaveLength(3);
    expect(plan(packs, { maxUnused: { kind: 'bytes', bytes: 7 * mebi } }).repack).toEqual([packs[1]?.id]);
    expect(plan(packs, { maxUnused: { kind: 'unlimited' } }).repack).toEqual([]);
  });

  test('reads and writes no more than it may', () => {
    const packs = [pack(4, 12), pack(6, 10), pack(8, 8)];
    expect(plan(packs, { maxRepackBytes: 33 * mebi }).repack).toEqual([packs[0]?.id, packs[1]?.id]);
    expect(plan(packs, { maxRepackBytes: 0 }).repack).toEqual([]);
  });

  test('tidies packs of trees and mixed packs always', () => {
    const packs = [pack(15, 1, { kind: 'tree' }), pack(16, 0, { kind: 'mixed' }), pack(15, 1)];
    expect(plan(packs, { maxUnused: { kind: 'percent', percent: 50 } }).repack).toEqual([
      packs[0]?.id,
      packs[1]?.id,
    ]);
  });

  test('drops the index entry of a missing pack that nothing needs', () => {
    const gone = pack(0, 4);
    expect(plan([gone], { missing: [gone.id] })).toMatchObject({ absent: [gone.id], remove: [] });
  });

  test('refuses when a pack that is needed is missing', () => {
    const gone = pack(4, 4);
    expect(() => plan([pack(1, 0), gone], { missing: [gone.id] })).toThrow(
      /Cannot prune: pack ".*" is missing/,
    );
  });

  test('refuses when a pack has another size than the index says, though nothing needs it', () => {
    const packs = [pack(0, 4)];
    const stored = [{ name: packs[0]?.id ?? '', sizeBytes: 5 }];
    const limits = { maxUnused: { kind: 'unlimited' }, maxRepackBytes: undefined } as const;
    expect(() => planPrune({ packs, stored }, limits)).toThrow('has another size than the index says');
  });

  test('never removes a used pack, and keeps its limits, for any packs', () => {
    const usage = fc.record({
      used: fc.nat(16),
      unused: fc.nat(16),
      kind: fc.constantFrom<PackUsage['kind']>('data', 'tree', 'mixed'),
    });
    const limit = fc.oneof(
      fc.record({ kind: fc.constant('percent' as const), percent: fc.integer({ min: 0, max: 99 }) }),
      fc.record({ kind: fc.constant('bytes' as const), bytes: fc.nat(100 * mebi) }),
      fc.constant({ kind: 'unlimited' as const }),
    );
    fc.assert(
      fc.property(
        fc.array(usage, { maxLength: 30 }),
        limit,
        fc.option(fc.nat(200)),
        (list, maxUnused, most) => {
          const packs = list
            .filter(({ used, unused }) => used + unused > 0)
            .map(({ used, unused, kind }) => pack(used, unused, { kind }));
          const maxRepackBytes = most === null ? undefined : most * mebi;
          const result = plan(packs, { maxUnused, ...(maxRepackBytes !== undefined && { maxRepackBytes }) });
          const of = (ids: readonly string[]): PackUsage[] => packs.filter(({ id }) => ids.includes(id));
          expect(of(result.remove).every(({ usedBlobs }) => usedBlobs === 0)).toBe(true);
          expect(of(result.repack).every(({ usedBlobs }) => usedBlobs > 0)).toBe(true);
          const repacked = of(result.repack).reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
          expect(repacked).toBeLessThanOrEqual(maxRepackBytes ?? Number.POSITIVE_INFINITY);
          if (maxRepackBytes === undefined && maxUnused.kind !== 'unlimited') {
            const { used } = result.summary;
            const tolerated =
              maxUnused.kind === 'bytes'
                ? maxUnused.bytes
                : (used.bytes * maxUnused.percent) / (100 - maxUnused.percent);
            expect(result.summary.unusedAfterBytes).toBeLessThanOrEqual(tolerated);
          }
        },
      ),
    );
  });
});
