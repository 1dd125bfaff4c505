import { afterEach, beforeEach, expect, test } from 'vitest';
import { formatSpan, parseSpan } from '../../src/model/calendar-span.ts';
import { planForget } from '../../src/retention/forget-plan.ts';
import { type KeepRules, type Period, periods } from '../../src/model/keep-rules.ts';
import { saveSnapshot, type SnapshotJson } from '../../src/repository/format/snapshot-file.ts';
import { storeKey } from '../../src/repository/keys/key-store.ts';
import { openTestCodec, type TestCodec } from '../fixtures/open-codec.ts';
import { type Dice, dice, seed, times } from '../faults/seeded.ts';
import { openTestRepository } from '../support/repository-fixture.ts';
import { resticCommand, resticPassword } from '../support/restic-command.ts';

const histories = times({ all: 40, daily: 4 });
const policiesEach = 8;
const zone = 'Europe/Berlin';

let opened: TestCodec;
const formerZone = process.env['TZ'];

beforeEach(async () => {
  process.env['TZ'] = zone;
  opened = await openTestCodec();
  const { codec, masterKey } = opened;
  await storeKey(codec.store, { masterKey, password: Buffer.from(resticPassword) });
});
afterEach(async () => {
  if (formerZone === undefined) delete process.env['TZ'];
  else process.env['TZ'] = formerZone;
  await opened[Symbol.asyncDispose]();
});

test(
  `on ${histories} histories of snapshots, restic keeps the same ones for the same reasons`,
  async () => {
    const random = dice('forget rules');
    let compared = 0;
    for (let history = 0; history < histories; history++) {
      await using repository = await openTestRepository(opened.location);
      for (const { id } of await repository.listSnapshots()) await opened.codec.store.remove('snapshots', id);
      for (const json of randomHistory(random)) await saveSnapshot(opened.codec, json);
      const snapshots = await repository.listSnapshots();
      for (let i = 0; i < policiesEach; i++) {
        const { rules, flags } = randomPolicy(random);
        const where = `seed ${seed}, history ${history}, ${flags.join(' ')}`;
        const limits = { allowEmpty: false, nowMs: Date.now() };
        const plan = planForget(snapshots, { kind: 'rules', rules, floor: 0, verified: new Set() }, limits);
        const mine = plan.groups.flatMap((group) =>
          group.decisions.map(
            ({ snapshot, stays, reasons }) => `${snapshot.id} ${stays ? reasons.join('; ') : 'goes'}`,
          ),
        );
        const theirs = await askRestic(flags);
        if (theirs === 'refused') expect(plan.refusal?.code, where).toBe('usage');
        else expect(mine.toSorted(), where).toEqual(theirs.toSorted());
        compared++;
      }
    }
    console.log(`seed ${seed}: ${compared} policies compared`);
  },
  20 * 60_000,
);

interface ResticGroup {
  readonly remove: readonly { readonly id: string }[] | null;
  readonly reasons: readonly { readonly snapshot: { readonly id: string }; readonly matches: string[] }[];
}

/** One line per snapshot, or that a group would be left with none. */
async function askRestic(flags: readonly string[]): Promise<string[] | 'refused'> {
  const restic = resticCommand(opened.location);
  const result = await restic.attempt('forget', '--dry-run', '--json', ...flags);
  if (result.output.includes('refusing to delete last snapshot')) return 'refused';
  expect(result.exitCode, result.output).toBe(0);
  // restic prints its progress, one object a line, before the result.
  const line = result.stdout.split('\n').find((text) => text.startsWith('[')) ?? '[]';
  return (JSON.parse(line) as ResticGroup[]).flatMap(({ remove, reasons }) => [
    ...(remove ?? []).map(({ id }) => `${id} goes`),
    ...reasons.map(({ snapshot, matches }) => `${snapshot.id} ${matches.join('; ')}`),
  ]);
}

const zones = ['Z', '+01:00', '+02:00', '-05:00', '+09:30'];
const tags = ['a', 'b', 'c'];

/**
 * Two groups, with bursts and gaps, over years and daylight saving times, by different clocks, some in the
 * future.
 */
function randomHistory(random: Dice): SnapshotJson[] {
  const snapshots: SnapshotJson[] = [];
  let ms = Date.UTC(2022 + random.between(0, 8), random.between(0, 12), random.between(1, 29));
  const count = random.between(1, 40);
  const steady = random.fraction() < 0.5 ? random.pick(zones) : undefined;
  for (let i = 0; i < count; i++) {
    // Distinct times: otherwise the order would be random.
    ms += Math.floor(
      1 + random.pick([60_000, 3_600_000, 86_400_000, 40 * 86_400_000]) * random.fraction() * 2,
    );
    snapshots.push({
      time: timeText(ms, steady ?? random.pick(zones), random),
      tree: '0'.repeat(64),
      paths: random.fraction() < 0.7 ? ['/srv/a'] : ['/srv/b', '/srv/a'],
      hostname: 'machine',
      tags: tags.filter(() => random.fraction() < 0.3),
    });
  }
  return random.shuffled(snapshots);
}

function timeText(ms: number, offset: string, random: Dice): string {
  const sign = offset.startsWith('-') ? -1 : 1;
  const minutes = offset === 'Z' ? 0 : Number(offset.slice(1, 3)) * 60 + Number(offset.slice(4));
  const wall = new Date(ms + sign * minutes * 60_000).toISOString().slice(0, 19);
  const fraction = random.fraction() < 0.5 ? '' : `.${random.between(1, 1e9).toString().padStart(9, '0')}`;
  return `${wall}${fraction}${offset}`;
}

function randomPolicy(random: Dice): { rules: KeepRules; flags: string[] } {
  const flags: string[] = [];
  const maybe = (share: number): boolean => random.fraction() < share;
  const someCount = (): number => random.pick([1, 2, 3, 5, 9, Number.POSITIVE_INFINITY]);
  const someSpan = (): string => random.pick(['3h', '1d', '10d', '1m', '5m2d', '1y', '2y1m1d1h', '30m']);
  const countFlag = (name: string, count: number): number => {
    flags.push(name, Number.isFinite(count) ? String(count) : 'unlimited');
    return count;
  };
  const last = maybe(0.4) ? countFlag('--keep-last', someCount()) : undefined;
  const count: Partial<Record<Period, number>> = {};
  const periodWithin: Partial<Record<Period, ReturnType<typeof parseSpan>>> = {};
  for (const period of periods) {
    if (maybe(0.35)) count[period] = countFlag(`--keep-${period}`, someCount());
    if (!maybe(0.15)) continue;
    const span = someSpan();
    flags.push(`--keep-within-${period}`, span);
    periodWithin[period] = parseSpan(span);
  }
  const within = maybe(0.3) ? parseSpan(someSpan()) : undefined;
  if (within) flags.push('--keep-within', formatSpan(within));
  const lists = [['a'], ['a', 'b'], ['c'], ['']].filter(() => maybe(0.15));
  for (const list of lists) flags.push('--keep-tag', list.join(','));
  // Without any rule restic keeps everything, and Holdfast requires one.
  if (flags.length === 0) return { rules: { last: countFlag('--keep-last', 2) }, flags };
  return { rules: { last, count, within, periodWithin, tags: lists }, flags };
}
