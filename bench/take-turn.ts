import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { type DataSetName, dataSetNames } from './data/data-sets.ts';
import { formatDuration } from '../src/model/duration.ts';
import { AppError } from '../src/model/errors.ts';
import { diskUsage, settleDisk } from './disk.ts';
import type { Command, Peer, Place } from './peers/peer.ts';
import { reasonOf, type Sample } from './records.ts';
import { runMeasured } from './run-measured.ts';
import type { Rounds } from './run-rounds.ts';
import { nameStep, type Step } from './steps.ts';
import { describeDifference, digestTree, type TreeDigest } from './tree-digest.ts';

/** What a round knows while it goes on. */
export interface Turns {
  readonly run: Rounds;
  readonly folder: string;
  readonly label: string;
  /** Without the peers that are out. */
  readonly states: Map<Peer, PeerState>;
}

interface PeerState {
  readonly place: Place;
  /** The data as the peer saved it last. */
  readonly saved: Map<DataSetName, TreeDigest>;
  readonly serials: Map<DataSetName, number>;
}

/** Lets one peer do one step, measured, and notes what it cost, or why it does not count. */
export async function takeTurn(turns: Turns, step: Step, peer: Peer): Promise<void> {
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
    // A backup that can't be brought back is none, however quick it was.
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

/** Undefined for what the peer can't do, or what it has lost the ground for by a failure that is noted already. */
function commandFor({ step, peer, state, output, socket }: Request): Command | undefined {
  const { place, saved, serials } = state;
  const { dataSet, action } = step;
  if (action === 'start') return { program: peer.version[0] ?? '', args: peer.version.slice(1) };
  // A repository that lacks something is checked sooner than one that holds everything.
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

/** A backup is proven by the restore that follows; a restore by comparing every byte with what was saved. */
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
