import { mkdtempSync, rmSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeOwnPackage } from '../../scripts/own-package.ts';
import { AppError } from '../../src/model/errors.ts';
import { ApiClient } from '../api-client.ts';
import { type BenchOptions, parseBenchOptions } from '../bench-options.ts';
import { describeMachine, formatMachine } from '../describe-machine.ts';
import { settleDisk } from '../disk.ts';
import { type DockerEngine, startDockerEngine, untilAnswering } from '../docker-engine.ts';
import { findPeers, installPeers } from '../find-peers.ts';
import { dockerPeer } from '../peers/docker.ts';
import { type ApiSide, measureCalls } from './measure-calls.ts';
import { type DfFigures, formatDf, measureDf } from './measure-df.ts';
import { measurePings } from './measure-pings.ts';
import { makeImage, measureRuns, runVolumes } from './measure-run.ts';
import {
  fillVolumes,
  type FullSide,
  Growth,
  makeOld,
  measureAnswers,
  measureCommands,
  removeVolumes,
  turns,
  type UsageCommand,
  type UsageRequest,
} from './measure-usage.ts';
import { Samples, type SideName } from './samples.ts';
import { formatVolumeFigures, volumeFigures } from './volume-report.ts';
import { countsAt, planRows, type VolumeCounts, type VolumeRows } from './volume-rows.ts';
import { holdfastEnvironment, holdfastProgram, startService } from './volume-service.ts';

export const volumeBenchHelp = `npm run bench -- volumes                measures Holdfast's volumes beside dockerd's (root, docker.io, busybox-static)
npm run bench -- volumes --scale 1      the full size: 10,000 volumes, and 200 of 500 files each (0.2)
npm run bench -- volumes --rounds 5     more rounds (3)
npm run bench -- volumes --dir DIR      make everything below DIR (the system's temporary folder)
npm run bench -- volumes --json FILE    where the numbers go (bench-results/TIME.json)
npm run bench -- volumes --no-install   install nothing, skip what is missing`;

export interface VolumeBenchContext {
  readonly signal: AbortSignal;
  readonly say: (line: string) => void;
  readonly writeJson: (file: string | undefined, document: { readonly time: string }) => void;
}

/** `npm run bench -- volumes` */
export async function benchVolumes(args: readonly string[], context: VolumeBenchContext): Promise<number> {
  const options = parseBenchOptions(args);
  if (options.help) {
    console.log(volumeBenchHelp);
    return 0;
  }
  if (options.peers !== undefined || options.withDocker)
    throw new AppError('usage', 'Volumes are measured beside dockerd, and nothing else', {
      hint: volumeBenchHelp,
    });
  const folder = mkdtempSync(join(options.folder ?? tmpdir(), 'holdfast-bench-'));
  try {
    return await bench(folder, options, context);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function bench(folder: string, options: BenchOptions, context: VolumeBenchContext): Promise<number> {
  const { scale, rounds } = options;
  const machine = describeMachine(folder);
  const counts = countsAt(scale);
  const rows = planRows(counts);
  const samples = new Samples();
  await using opened = new AsyncDisposableStack();
  const { engine, version, skipped } = await openEngine(folder, options, context);
  if (engine !== undefined) opened.use(engine);
  const work: Work = { folder, rows, counts, samples, rounds, engine, context };
  await benchCalls(work);
  if (engine !== undefined) await benchPings(work, engine);
  if (engine !== undefined) await benchRuns(work, engine);
  await benchUsage(work);
  const df = await benchDf(work);
  const figures = volumeFigures(Object.values(rows), samples);
  const load = { before: machine.load, after: loadavg()[0] ?? 0 };
  console.log(`\n${formatMachine(machine)}${version === undefined ? '' : `, ${version}`}`);
  console.log(
    `Medians of ${rounds} rounds; load ${load.before.toFixed(1)} before, ${load.after.toFixed(1)} after\n`,
  );
  console.log(`${formatVolumeFigures(figures)}\n`);
  console.log(`${formatDf(df)}\n`);
  for (const line of skipped) console.log(line);
  const time = new Date().toISOString();
  context.writeJson(options.json, {
    time,
    ...{ format: 1, suite: 'volumes', machine, load, settings: { scale, rounds, ...counts } },
    ...{ dockerd: version, rows: figures, df, skipped },
  });
  return 0;
}

interface OpenedEngine {
  readonly engine: DockerEngine | undefined;
  readonly version: string | undefined;
  readonly skipped: readonly string[];
}

/** Names what the machine lacks, and continues without it. */
async function openEngine(
  folder: string,
  options: BenchOptions,
  { signal, say }: VolumeBenchContext,
): Promise<OpenedEngine> {
  const peer = {
    ...dockerPeer,
    programs: [...dockerPeer.programs, '/bin/busybox'],
    debianPackages: ['docker.io', 'docker-cli', 'busybox-static'],
  };
  const trouble = options.install ? installPeers([peer], say) : undefined;
  if (trouble !== undefined) say(`apt-get failed:\n${trouble}`);
  const { found, skipped } = findPeers([peer]);
  const reasons = skipped.map(({ reason }) => `Skipped "dockerd": ${reason}.`);
  if (found[0] === undefined) return { engine: undefined, version: undefined, skipped: reasons };
  const { version } = found[0];
  try {
    return { engine: await startDockerEngine(folder, signal), version, skipped: [] };
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== 'unavailable') throw error;
    return {
      engine: undefined,
      version,
      skipped: [`Skipped "dockerd": it does not start. ${error.detail ?? ''}`],
    };
  }
}

interface Work {
  readonly folder: string;
  readonly rows: VolumeRows;
  readonly counts: VolumeCounts;
  readonly samples: Samples;
  readonly rounds: number;
  readonly engine: DockerEngine | undefined;
  readonly context: VolumeBenchContext;
}

interface OpenedSides extends AsyncDisposable {
  readonly sides: readonly ApiSide[];
}

/** The API of Holdfast, with its own state, and that of the engine. */
async function openSides(home: string, { engine, context: { signal } }: Work): Promise<OpenedSides> {
  await using opening = new AsyncDisposableStack();
  const socket = apiSocket(home);
  opening.use(await startService({ service: 'api', home, socket, signal }));
  await untilAnswering(socket, { signal, hasEnded: () => false });
  const sides: ApiSide[] = [{ name: 'Holdfast', client: opening.use(new ApiClient(socket)) }];
  if (engine !== undefined)
    sides.push({ name: 'dockerd', client: opening.use(new ApiClient(engine.socket)) });
  const opened = opening.move();
  return { sides, [Symbol.asyncDispose]: () => opened.disposeAsync() };
}

async function benchCalls(work: Work): Promise<void> {
  const { folder, rounds, counts, context } = work;
  await using opened = await openSides(join(folder, 'calls'), work);
  for (let round = 0; round < rounds; round += 1) {
    context.say(`round ${round + 1}/${rounds}  ${counts.volumes.toLocaleString('en')} volumes by the API`);
    await measureCalls({ ...work, sides: opened.sides, round, signal: context.signal });
  }
}

async function benchPings(
  { context: { say, signal }, folder, rounds, samples, rows }: Work,
  engine: DockerEngine,
): Promise<void> {
  const home = join(folder, 'front');
  const socket = apiSocket(home);
  const args = ['--upstream', `unix://${engine.socket}`];
  await using _front = await startService({ service: 'api', home, socket, args, signal });
  await untilAnswering(socket, { signal, hasEnded: () => false });
  using front = new ApiClient(socket);
  using behind = new ApiClient(engine.socket);
  const sides: ApiSide[] = [
    { name: 'Holdfast', client: front },
    { name: 'dockerd', client: behind },
  ];
  for (let round = 0; round < rounds; round += 1) {
    say(`round ${round + 1}/${rounds}  pings through the API`);
    await measurePings({ sides, row: rows.ping.title, round, samples, signal });
  }
}

async function benchRuns(
  { context: { say, signal }, folder, rounds, samples, rows }: Work,
  { socket }: DockerEngine,
): Promise<void> {
  const driver = `holdfast-bench-${process.pid}`;
  await using _plugin = await startService({
    service: 'plugin',
    home: join(folder, 'plugin'),
    socket: `/run/docker/plugins/${driver}.sock`,
    signal,
  });
  using client = new ApiClient(socket);
  await client.call('POST', '/volumes/create', { Name: runVolumes.Holdfast, Driver: driver });
  await client.call('POST', '/volumes/create', { Name: runVolumes.dockerd });
  await makeImage(folder, { socket, signal });
  for (let round = 0; round < rounds; round += 1) {
    say(`round ${round + 1}/${rounds}  docker run`);
    await measureRuns({ socket, row: rows.run.title, samples, signal });
  }
  for (const name of Object.values(runVolumes)) await client.call('DELETE', `/volumes/${name}`);
}

/** With its own state: dockerd has no trash of removed volumes to compare with. */
async function benchUsage(work: Work): Promise<void> {
  const { folder, rounds, counts, context } = work;
  const { say, signal } = context;
  say(`Filling ${counts.fullVolumes} volumes with ${counts.filesInEach} files each`);
  const home = join(folder, 'usage');
  const growth = new Growth();
  const mountpoints = new Map<SideName, readonly string[]>();
  const withSides = async (ask: (request: UsageRequest) => Promise<void>): Promise<void> => {
    await using opened = await openSides(home, work);
    const sides: FullSide[] = [];
    for (const side of opened.sides) {
      const roots = mountpoints.get(side.name) ?? (await fillVolumes(side, counts, signal));
      mountpoints.set(side.name, roots);
      sides.push({ ...side, mountpoints: roots, ...usageCommands(side, { ...work, home }) });
    }
    settleDisk(folder);
    await ask({ ...work, sides, signal });
  };
  await withSides(async (request) => {
    await measureAnswers(request, { row: 'usageYoung', turns, growth });
    for (const side of request.sides) makeOld(side);
  });
  for (let round = 0; round < rounds; round += 1) {
    say(`round ${round + 1}/${rounds}  usage`);
    await withSides(async (request) => {
      await measureAnswers(request, { row: 'usageFirst', turns: 1, growth });
      await measureAnswers(request, { row: 'usage', turns, growth });
      await measureCommands(request, growth);
    });
  }
}

/** With its own state, and without what was measured before in the engine: only these volumes are listed. */
async function benchDf(work: Work): Promise<DfFigures> {
  const { folder, rounds, counts, engine, context } = work;
  const { say, signal } = context;
  const [volumes, filesInEach] = [5 * counts.fullVolumes, 100];
  say(`Filling ${volumes} volumes with ${filesInEach} files each for holdfast df`);
  using made = await makeOwnPackage();
  const home = join(folder, 'df');
  {
    await using opened = await openSides(home, work);
    for (const side of opened.sides) {
      if (side.name === 'dockerd') await removeVolumes(side, counts);
      const mountpoints = await fillVolumes(side, { ...counts, fullVolumes: volumes, filesInEach }, signal);
      makeOld({ mountpoints });
    }
  }
  const docker = engine && dockerUsage(engine.socket, home);
  const request = { program: made.command, home, docker, volumes, filesInEach, signal };
  return await measureDf({ ...request, turns: rounds * turns });
}

function usageCommands(
  { name }: ApiSide,
  { home, engine }: Pick<Work, 'engine'> & { readonly home: string },
): Pick<FullSide, 'docker' | 'command'> {
  // Without an engine, its command may be missing as well.
  const docker = engine && dockerUsage(name === 'Holdfast' ? apiSocket(home) : engine.socket, home);
  if (name === 'dockerd' && docker) return { docker, command: docker };
  const command = { program: holdfastProgram, args: ['volume', 'du'], env: holdfastEnvironment(home) };
  return { docker, command };
}

function dockerUsage(socket: string, home: string): UsageCommand {
  const env = { PATH: process.env['PATH'], HOME: home, DOCKER_HOST: `unix://${socket}` };
  return { program: 'docker', args: ['system', 'df', '--verbose'], env };
}

function apiSocket(home: string): string {
  return join(home, 'api.sock');
}
