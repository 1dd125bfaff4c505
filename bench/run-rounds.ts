import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { changeDatabase } from './data/make-database.ts';
import { type DataSetName, dataSetNames } from './data/data-sets.ts';
import { formatDuration } from '../src/model/duration.ts';
import { AppError } from '../src/model/errors.ts';
import { diskUsage, settleDisk } from './disk.ts';
import type { Command, Peer, Place } from './peers/peer.ts';
import { type Records, reasonOf, type Sample } from './records.ts';
import { runMeasured } from './run-measured.ts';
import { changedShare, nameStep, type Step } from './steps.ts';
import { describeDifference, digestTree, type TreeDigest } from './tree-digest.ts';

export interface Rounds {
  /** The folder of this run, with `data/` in it. */
  readonly folder: string;
  readonly seed: string;
  readonly rounds: number;
  readonly peers: readonly Peer[];
  readonly steps: readonly Step[];
  readonly records: Records;
  /** Digests of the current data; updated as it changes. */
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

/**
 * Gives each peer an empty repository and a home for this round. A peer that cannot create its repository
 * fails all steps.
 */
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

interface Turns {
  readonly run: Rounds;
  readonly folder: string;
  readonly label: string;
  /** Without the peers that are out. */
  readonly states: Map<Peer, PeerState>;
}

interface PeerState {
  readonly place: Place;
  /** The data as the peer last saved it. */
  readonly saved: Map<DataSetName, TreeDigest>;
  readonly serials: Map<DataSetName, number>;
}

/** Runs and measures one step of one peer, and records its cost, or why it does not count. */
async function takeTurn(turns: Turns, step: Step, peer: Peer): Promise<void> {
  const { run } = turns;
  const state = turns.states.get(peer);
  const output = join(turns.folder, 'output');
  if (state === undefined) return;
  const command = commandFor({ step, peer, state, output, socket: run.socket });
  if (command === undefined) return;
  mkdirSync(output);
  const label = `${turns.label}  ${nameStep(step)}  ${peer.name}`;
  try {
    const sample = await measure(turns, step, { command, place: state.place });
    if (step.dataSet !== undefined) await verify(turns, step, { dataSet: step.dataSet, state, output });
    run.records.add(step, peer, sample);
    if (step.turns === 1) run.say(`${label}  ${formatDuration(sample.wallMs)}`);
  } catch (error) {
    run.signal.throwIfAborted();
    const reason = reasonOf(error);
    run.records.fail(step, peer, reason);
    // A backup that cannot be restored does not count, however quick it was.
    if (step.action === 'restore' && step.dataSet !== undefined)
      run.records.distrust(peer, step.dataSet, reason);
    run.say(`${label}  FAILED: ${reason}`);
  } finally {
    rmSync(output, { recursive: true, force: true });
  }
}

interface Request {
  readonly step: Step;
  readonly peer: Peer;
  readonly state: PeerState;
  readonly output: string;
  readonly socket: string | undefined;
}

/** Undefined for what the peer cannot do, or cannot do after a failure that is already recorded. */
function commandFor({ step, peer, state, output, socket }: Request): Command | undefined {
  const { place, saved, serials } = state;
  const { dataSet, action } = step;
  if (action === 'start') return { program: peer.version[0] ?? '', args: peer.version.slice(1) };
  // Checking an incomplete repository is quicker.
  if (action === 'check') return saved.size === dataSetNames.length ? peer.check?.(place) : undefined;
  if (action === 'list') return socket === undefined ? undefined : peer.listVolumes?.(place, socket);
  if (dataSet === undefined) return undefined;
  const last = serials.get(dataSet) ?? 0;
  if (action === 'restore') {
    return saved.has(dataSet) ? peer.restore?.(place, { dataSet, serial: last, output }) : undefined;
  }
  if (action === 'save-again' && (peer.saveAgain === undefined || !saved.has(dataSet))) return undefined;
  serials.set(dataSet, last + 1);
  return (action === 'save' ? peer.save : peer.saveAgain)?.(place, { dataSet, serial: last + 1 });
}

async function measure(
  turns: Turns,
  step: Step,
  { command, place }: { readonly command: Command; readonly place: Place },
): Promise<Sample> {
  const isSave = step.action === 'save' || step.action === 'save-again';
  const before = isSave ? diskUsage(place.repository) : 0;
  settleDisk(turns.folder);
  const cost = await runMeasured(command, { home: place.home, signal: turns.run.signal });
  if (!isSave) return cost;
  settleDisk(turns.folder);
  return { ...cost, storedBytes: diskUsage(place.repository) - before };
}

interface Proof {
  readonly dataSet: DataSetName;
  readonly state: PeerState;
  readonly output: string;
}

/** The following restore proves a backup; comparing every byte with the saved data proves a restore. */
async function verify(turns: Turns, step: Step, { dataSet, state, output }: Proof): Promise<void> {
  const { digests, signal } = turns.run;
  const live = digests.get(dataSet);
  if (step.action !== 'restore') {
    if (live !== undefined) state.saved.set(dataSet, live);
    return;
  }
  const expected = state.saved.get(dataSet);
  if (expected === undefined) return;
  const difference = describeDifference(expected, await digestTree(join(output, dataSet), signal));
  if (difference !== undefined) throw new AppError('integrity', `The restored data is wrong: ${difference}`);
}
