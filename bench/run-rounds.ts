import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { changeDatabase } from './data/make-database.ts';
import { type DataSetName, dataSetNames } from './data/data-sets.ts';
import { settleDisk } from './disk.ts';
import type { Peer, Place } from './peers/peer.ts';
import { type Records, reasonOf } from './records.ts';
import { runMeasured } from './run-measured.ts';
import { changedShare, type Step } from './steps.ts';
import { takeTurn, type Turns } from './take-turn.ts';
import { digestTree, type TreeDigest } from './tree-digest.ts';

export interface Rounds {
  /** The folder of this run: `data/` is in it. */
  readonly folder: string;
  readonly seed: string;
  readonly rounds: number;
  readonly peers: readonly Peer[];
  readonly steps: readonly Step[];
  readonly records: Records;
  /** Of the data as it is now; kept up to date as it changes. */
  readonly digests: Map<DataSetName, TreeDigest>;
  /** An engine with volumes to list. */
  readonly socket: string | undefined;
  readonly say: (line: string) => void;
  readonly signal: AbortSignal;
}

/** Runs all steps, round after round: A B C D, A B C D. Each round begins with empty repositories. */
export async function runRounds(run: Rounds): Promise<void> {
  for (let round = 1; round <= run.rounds; round += 1) {
    const turns = await prepareTurns(run, round);
    for (const step of run.steps) {
      if (step.changesDatabase === true) await changeData(run, round);
      for (let turn = 0; turn < step.turns; turn += 1) {
        for (const peer of run.peers) await takeTurn(turns, step, peer);
      }
    }
    rmSync(turns.folder, { recursive: true, force: true });
  }
}

export async function digestData(folder: string, signal: AbortSignal): Promise<Map<DataSetName, TreeDigest>> {
  const digests = new Map<DataSetName, TreeDigest>();
  for (const name of dataSetNames) digests.set(name, await digestTree(join(folder, 'data', name), signal));
  return digests;
}

/** Gives each peer an empty repository and a home for this round. One that can't make its repository fails all steps. */
async function prepareTurns(run: Rounds, round: number): Promise<Turns> {
  const folder = join(run.folder, `round-${round}`);
  const states: Turns['states'] = new Map();
  for (const [index, peer] of run.peers.entries()) {
    const place: Place = {
      data: join(run.folder, 'data'),
      repository: join(folder, `${index}`, 'repository'),
      home: join(folder, `${index}`, 'home'),
    };
    mkdirSync(place.repository, { recursive: true });
    mkdirSync(place.home);
    states.set(peer, { place, saved: new Map(), serials: new Map() });
    if (peer.prepare === undefined) continue;
    try {
      await runMeasured(peer.prepare(place), { home: place.home, signal: run.signal });
    } catch (error) {
      run.signal.throwIfAborted();
      run.say(`round ${round}/${run.rounds}  ${peer.name}  FAILED: ${reasonOf(error)}`);
      for (const step of run.steps) run.records.fail(step, peer, reasonOf(error));
      states.delete(peer);
    }
  }
  return { run, folder, label: `round ${round}/${run.rounds}`, states };
}

async function changeData(run: Rounds, round: number): Promise<void> {
  const root = join(run.folder, 'data', 'database');
  await changeDatabase(root, `${run.seed}/${round}`, changedShare);
  run.digests.set('database', await digestTree(root, run.signal));
  settleDisk(run.folder);
}
