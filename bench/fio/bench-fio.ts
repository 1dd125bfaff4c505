import { mkdtempSync, rmSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { measureFacts, type MeasureName } from '../../src/model/benchmark.ts';
import { AppError } from '../../src/model/errors.ts';
import { parseBenchOptions } from '../bench-options.ts';
import { describeMachine, formatMachine } from '../describe-machine.ts';
import { settleDisk } from '../disk.ts';
import { isInstalled } from '../find-peers.ts';
import { inTurn } from '../volumes/samples.ts';
import { type Agreement, agreementOf, formatAgreements, type Pair } from './agreement.ts';
import {
  type Figures,
  type FioProfile,
  makeVolume,
  measureByBench,
  measureByHand,
  type SideFigures,
  sizeMiB,
} from './measure-sides.ts';
import { type MemoryDisk, mountMemoryDisk } from './memory-disk.ts';

export const fioBenchHelp = `npm run bench -- fio                   compares "holdfast bench" with fio by hand (root, fio, ext4 on a loop device)
npm run bench -- fio --rounds 41       more rounds (15; each takes half a minute)
npm run bench -- fio --json FILE       where the numbers go (bench-results/TIME.json)`;

export interface FioBenchContext {
  readonly signal: AbortSignal;
  readonly say: (line: string) => void;
  readonly writeJson: (file: string | undefined, document: { readonly time: string }) => void;
}

const profiles: readonly FioProfile[] = ['database', 'stream', 'random'];
/** "bench" wants three times its size, and fio by hand has a file beside it. */
const diskBytes = (5 * sizeMiB) << 20;

/** `npm run bench -- fio`: the same tests by both, in turns, on a disk in memory. */
export async function benchFio(
  args: readonly string[],
  { signal, say, writeJson }: FioBenchContext,
): Promise<number> {
  const { help, rounds, json } = parseBenchOptions(args, { rounds: '15' });
  if (help) {
    console.log(fioBenchHelp);
    return 0;
  }
  requirePrograms();
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-bench-'));
  try {
    using disk = mountMemoryDisk(folder, diskBytes);
    const machine = describeMachine(folder);
    const pairs = await measurePairs({ disk, rounds, signal, say });
    const load = { before: machine.load, after: loadavg()[0] ?? 0 };
    const agreements = agreementsOf(pairs);
    console.log(`\n${formatMachine(machine)}`);
    console.log(
      `${rounds} rounds of 2 s a test, ${sizeMiB} MiB, ext4 in memory; load ${load.before.toFixed(1)} before, ${load.after.toFixed(1)} after\n`,
    );
    console.log(`${formatAgreements(agreements)}\n`);
    const time = new Date().toISOString();
    const settings = { rounds, sizeMiB };
    const samples = Object.fromEntries(pairs);
    writeJson(json, { time, ...{ format: 1, suite: 'fio', machine, load, settings, agreements, samples } });
    return 0;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function requirePrograms(): void {
  const missing = ['fio', 'mkfs.ext4', 'mount', 'umount'].filter((program) => !isInstalled(program));
  if (missing.length > 0) throw new AppError('unavailable', `There is no ${missing.join(' and no ')}`);
  if (process.geteuid?.() !== 0)
    throw new AppError('denied', 'Only root can mount the disk that is measured');
}

interface PairsRequest {
  readonly disk: MemoryDisk;
  readonly rounds: number;
  readonly signal: AbortSignal;
  readonly say: (line: string) => void;
}

type FiguresPair = Readonly<Record<'bench' | 'hand', Figures>>;

/** A B in one round, B A in the next, each profile by itself, so that both see the same minute of the machine. */
async function measurePairs({
  disk,
  rounds,
  signal,
  say,
}: PairsRequest): Promise<ReadonlyMap<string, FiguresPair[]>> {
  const volume = 'measured';
  const home = join(disk.memory, 'home');
  using _bound = disk.bindTo(await makeVolume(home, volume, signal));
  const sides: Readonly<Record<'bench' | 'hand', (profile: FioProfile) => Promise<SideFigures>>> = {
    bench: (profile) => measureByBench({ home, volume }, profile, signal),
    hand: (profile) => measureByHand(disk.path, profile, signal),
  };
  const pairs = new Map<string, FiguresPair[]>();
  for (let round = 0; round < rounds; round += 1) {
    say(`Round ${round + 1} of ${rounds}`);
    for (const profile of profiles) {
      const seen: Partial<Record<'bench' | 'hand', SideFigures>> = {};
      for (const side of inTurn(['bench', 'hand'] as const, round)) {
        settleDisk(disk.path);
        seen[side] = await sides[side](profile);
      }
      for (const [name, hand] of seen.hand ?? []) {
        const bench = seen.bench?.get(name);
        if (bench !== undefined) pairs.set(name, [...(pairs.get(name) ?? []), { bench, hand }]);
      }
    }
  }
  return pairs;
}

function agreementsOf(pairs: ReadonlyMap<string, readonly FiguresPair[]>): Agreement[] {
  return [...pairs].flatMap(([name, all]) => {
    const { title, unit } = measureFacts[name as MeasureName];
    const of = (value: (figures: Figures) => number): Pair[] =>
      all.map(({ bench, hand }) => ({ bench: value(bench), hand: value(hand) }));
    const rate = agreementOf(
      { title, unit },
      of((one) => one.rate),
    );
    const p50 = agreementOf(
      { title: '  half within', unit: 'ms' },
      of((one) => one.p50Ms),
    );
    const p99 = agreementOf(
      { title: '  99% within', unit: 'ms' },
      of((one) => one.p99Ms),
    );
    return [rate, p50, p99].filter((one) => one !== undefined);
  });
}
