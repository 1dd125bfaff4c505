import { execFile } from 'node:child_process';
import { appendFileSync, mkdirSync, readdirSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { AppError } from '../../src/model/errors.ts';
import type { ApiSide } from './measure-calls.ts';
import { inTurn, type Samples, timeOf } from './samples.ts';
import type { VolumeCounts, VolumeRows } from './volume-rows.ts';

const run = promisify(execFile);

/** A side whose volumes have the same content as the other's. */
export interface FullSide extends ApiSide {
  readonly mountpoints: readonly string[];
  /** `docker system df` of this side; undefined where there is no such command. */
  readonly docker: UsageCommand | undefined;
  /** The side's own command that shows the usage of all volumes. */
  readonly command: UsageCommand;
}

export interface UsageCommand {
  readonly program: string;
  readonly args: readonly string[];
  readonly env: NodeJS.ProcessEnv;
}

const filesInFolder = 50;
export const turns = 5;
const largestBytes = 4000;

/** Creates volumes with files, and returns their folders. */
export async function fillVolumes(
  { client }: ApiSide,
  counts: VolumeCounts,
  signal: AbortSignal,
): Promise<string[]> {
  const mountpoints: string[] = [];
  for (let index = 0; index < counts.fullVolumes; index += 1) {
    signal.throwIfAborted();
    const answer = await client.call('POST', '/volumes/create', { Name: `full-${index}`, Driver: 'local' });
    const { Mountpoint: mountpoint } = JSON.parse(answer) as { readonly Mountpoint: string };
    fill(mountpoint, counts.filesInEach, index);
    mountpoints.push(mountpoint);
  }
  return mountpoints;
}

/** Removes the volumes that `fillVolumes()` has made. */
export async function removeVolumes({ client }: ApiSide, counts: VolumeCounts): Promise<void> {
  for (let index = 0; index < counts.fullVolumes; index += 1)
    await client.call('DELETE', `/volumes/full-${index}`);
}

function fill(root: string, count: number, seed: number): void {
  for (let file = 0; file < count; file += 1) {
    const folder = join(root, `folder-${Math.floor(file / filesInFolder)}`);
    if (file % filesInFolder === 0) mkdirSync(folder);
    writeFileSync(join(folder, `file-${file}`), Buffer.alloc(sizeOf(file, seed)));
  }
}

function sizeOf(file: number, seed: number): number {
  return ((file + 1) * 7919 + seed * 104_729) % largestBytes;
}

/** Makes the files old, as most files of most volumes are. */
export function makeOld({ mountpoints }: Pick<FullSide, 'mountpoints'>): void {
  const yesterday = Date.now() / 1000 - 86_400;
  for (const root of mountpoints)
    for (const { parentPath, name } of readdirSync(root, { recursive: true, withFileTypes: true }))
      utimesSync(join(parentPath, name), yesterday, yesterday);
}

export interface UsageRequest {
  readonly folder: string;
  readonly sides: readonly FullSide[];
  readonly rows: VolumeRows;
  readonly samples: Samples;
  readonly counts: VolumeCounts;
  readonly signal: AbortSignal;
}

/** Counts how often a file has grown by a byte on each side. */
export class Growth {
  bytes = 0;

  /** Grows one file of one volume, in place. */
  add(sides: readonly FullSide[]): void {
    for (const { mountpoints } of sides)
      appendFileSync(join(mountpoints[this.bytes % mountpoints.length] ?? '', 'folder-0/file-0'), 'x');
    this.bytes += 1;
  }
}

/** Queries the API of each side in turn, with one file grown before each turn. */
export async function measureAnswers(
  { sides, rows, samples, counts, signal }: UsageRequest,
  asked: {
    readonly row: 'usage' | 'usageFirst' | 'usageYoung';
    readonly turns: number;
    readonly growth: Growth;
  },
): Promise<void> {
  for (let turn = 0; turn < asked.turns; turn += 1) {
    asked.growth.add(sides);
    for (const { name, client } of inTurn(sides, turn)) {
      signal.throwIfAborted();
      let text = '';
      const ms = await timeOf(async () => (text = await client.call('GET', '/system/df?type=volume')));
      requireBytes(text, plannedBytes(counts) + asked.growth.bytes, name);
      samples.add(rows[asked.row].title, name, ms);
    }
  }
}

/** Runs the commands of each side in turn, with one file grown before each turn. */
export async function measureCommands(
  { sides, rows, samples, signal }: UsageRequest,
  growth: Growth,
): Promise<void> {
  for (let turn = 0; turn < turns; turn += 1) {
    growth.add(sides);
    for (const { name, docker, command } of inTurn(sides, turn)) {
      if (docker) samples.add(rows.usageDocker.title, name, await timeOfCommand(docker, signal));
      samples.add(rows.usageCommand.title, name, await timeOfCommand(command, signal));
    }
  }
}

export async function timeOfCommand(
  { program, args, env }: UsageCommand,
  signal: AbortSignal,
): Promise<number> {
  return await timeOf(() => run(program, args, { env, signal, maxBuffer: 64 << 20 }));
}

function plannedBytes({ fullVolumes, filesInEach }: VolumeCounts): number {
  let bytes = 0;
  for (let seed = 0; seed < fullVolumes; seed += 1)
    for (let file = 0; file < filesInEach; file += 1) bytes += sizeOf(file, seed);
  return bytes;
}

/** Throws for a usage that is wrong by one byte: such a measurement does not count. */
function requireBytes(text: string, expected: number, side: string): void {
  const { Volumes: volumes } = JSON.parse(text) as {
    readonly Volumes: readonly { readonly Name: string; readonly UsageData: { readonly Size: number } }[];
  };
  const own = volumes.filter(({ Name: name }) => /^full-\d+$/.test(name));
  const bytes = own.reduce((sum, { UsageData: usage }) => sum + usage.Size, 0);
  if (bytes === expected) return;
  throw new AppError('integrity', `${side} counts ${bytes} bytes in all volumes, and there are ${expected}`);
}
