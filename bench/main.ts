import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { AppError, errnoOf, exitNumber } from '../src/model/errors.ts';
import { formatSize } from '../src/model/size.ts';
import { benchHelp, type BenchOptions, parseBenchOptions } from './bench-options.ts';
import { buildReport } from './build-report.ts';
import { dataSetNames, makeDataSet, plannedBytes } from './data/data-sets.ts';
import { describeMachine, formatMachine } from './describe-machine.ts';
import { requireRoom, settleDisk } from './disk.ts';
import { findPeers, installPeers, type PeersFound } from './find-peers.ts';
import { formatReport } from './format-report.ts';
import { allPeers, ownPeer } from './peers/all-peers.ts';
import type { Peer } from './peers/peer.ts';
import { newRecords } from './records.ts';
import { digestData, runRounds } from './run-rounds.ts';
import { planSteps } from './steps.ts';
import type { TreeDigest } from './tree-digest.ts';
import { startVolumeEngine } from './volume-engine.ts';

const cancel = new AbortController();
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(name, () =>
    cancel.abort(
      new AppError('cancelled', 'Cancelled: the temporary files are removed, and no numbers are written'),
    ),
  );
}

process.exitCode = await main(process.argv.slice(2)).catch(reportError);

async function main(args: readonly string[]): Promise<number> {
  if (args[0] === 'volumes') {
    const { benchVolumes } = await import('./volumes/bench-volumes.ts');
    return await benchVolumes(args.slice(1), { signal: cancel.signal, say, writeJson });
  }
  if (args[0] === 'fio') {
    const { benchFio } = await import('./fio/bench-fio.ts');
    return await benchFio(args.slice(1), { signal: cancel.signal, say, writeJson });
  }
  const options = parseBenchOptions(args);
  if (options.help) {
    console.log(benchHelp);
    return 0;
  }
  const base = findFolder(options.folder ?? tmpdir());
  requireRoom(base, plannedBytes(options.scale));
  const peers = takePeers(options);
  for (const { peer, reason } of peers.skipped) say(`Skipped "${peer.name}": ${reason}.`);
  const folder = mkdtempSync(join(base, 'holdfast-bench-'));
  try {
    return await bench({ folder, options, peers });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

interface Bench {
  readonly folder: string;
  readonly options: BenchOptions;
  readonly peers: PeersFound;
}

async function bench({ folder, options, peers }: Bench): Promise<number> {
  const machine = describeMachine(folder);
  if (machine.load > machine.processors / 4) {
    say(
      `Warning: something else uses this machine (load ${machine.load.toFixed(1)}): the times will be too long.`,
    );
  }
  const { signal } = cancel;
  await makeData(folder, options);
  const digests = await digestData(folder, signal);
  await using engine = options.withDocker ? await startVolumeEngine(folder, { signal, say }) : undefined;
  const steps = planSteps({ withDocker: engine !== undefined });
  const records = newRecords();
  const dataSets = Object.fromEntries(
    [...digests].map(([name, { files, bytes }]) => [name, { files, bytes }]),
  );
  settleDisk(folder);
  await runRounds({
    folder,
    seed: options.seed,
    rounds: options.rounds,
    peers: peers.found.map(({ peer }) => peer),
    steps,
    records,
    digests,
    socket: engine?.socket,
    say,
    signal,
  });
  const report = buildReport({ steps, ...peers, own: ownPeer, records });
  const { scale, rounds, seed } = options;
  const document = {
    format: 1,
    time: new Date().toISOString(),
    machine,
    settings: { scale, rounds, seed },
    dataSets,
    ...report,
  };
  console.log(`\n${formatMachine(machine)}`);
  console.log(`Medians of ${rounds} rounds with warm caches, ${formatDataSets(digests)}\n`);
  console.log(`${formatReport(report)}\n`);
  writeJson(options.json, document);
  return report.failures.length === 0 ? 0 : 1;
}

function formatDataSets(digests: ReadonlyMap<string, TreeDigest>): string {
  return [...digests]
    .map(([name, { files, bytes }]) => `${name}: ${formatSize(bytes)} in ${files.toLocaleString('en')}`)
    .join(', ');
}

async function makeData(folder: string, { seed, scale }: BenchOptions): Promise<void> {
  say(`Making ${formatSize(plannedBytes(scale))} of data in ${folder}`);
  for (const name of dataSetNames) {
    await makeDataSet(name, join(folder, 'data'), { seed, scale, signal: cancel.signal });
  }
}

function takePeers({ peers: names, install, withDocker }: BenchOptions): PeersFound {
  const shortName = (peer: Peer): string => peer.name.toLowerCase().split(' ')[0] ?? '';
  const unknown = names?.find((name) => !allPeers.some((peer) => shortName(peer) === name));
  if (unknown !== undefined) {
    throw new AppError('usage', `There is no peer "${unknown}"`, {
      hint: `Choose from ${allPeers.map(shortName).join(', ')}.`,
    });
  }
  const isWanted = (peer: Peer): boolean =>
    peer.listVolumes === undefined || withDocker ? (names?.includes(shortName(peer)) ?? true) : false;
  const wanted = allPeers.filter((peer) => peer === ownPeer || isWanted(peer));
  const trouble = install ? installPeers(wanted, say) : undefined;
  if (trouble !== undefined) say(`apt-get failed:\n${trouble}`);
  const peers = findPeers(wanted);
  const [own] = peers.skipped.filter(({ peer }) => peer === ownPeer);
  if (own !== undefined) throw new AppError('unavailable', `Cannot run Holdfast itself: ${own.reason}`);
  return peers;
}

function writeJson(file: string | undefined, document: { readonly time: string }): void {
  const path = resolve(file ?? join('bench-results', `${document.time.replaceAll(':', '-')}.json`));
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, `${JSON.stringify(document, null, 2)}\n`);
  say(`The numbers are in ${path}`);
}

function findFolder(path: string): string {
  try {
    return realpathSync(path);
  } catch (error) {
    throw new AppError('not-found', `There is no folder "${path}" to work in`, {
      hint: 'Name an existing one with --dir.',
      cause: error,
    });
  }
}

/** Progress goes to standard error, so that standard output is the report. */
function say(line: string): void {
  console.error(line);
}

function reportError(error: unknown): number {
  // A system error (a full disk) explains itself; anything else is a fault of the benchmark, and needs its
  // stack.
  if (!(error instanceof AppError) && errnoOf(error) === undefined) throw error;
  if (!(error instanceof AppError)) {
    console.error(`The benchmark failed: ${error instanceof Error ? error.message : String(error)}`);
    return 1;
  }
  for (const line of [error.message, error.detail, error.hint]) if (line !== undefined) console.error(line);
  return exitNumber(error.code);
}
