import { spawnSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { buildPlugin } from '../../scripts/plugin/build-plugin.ts';
import type { GuestLine } from './guest/line-reporter.ts';
import { type GuestEnd, lastWords, runGuest } from './user-mode-linux.ts';

/**
 * Three guests run in parallel, each with its own disk: a stage finds what the power cut at the end of the
 * previous one left.
 */
const lines = [
  ['drivers', 'before-power-cut', 'after-power-cut'],
  ['engine-restarts', 'managed-plugin'],
  ['service-before-boot', 'service-after-boot', 'doctor', 'doctor-selinux'],
] as const;
/** Further arguments of the kernel, which can do with one of both at a time. */
const bootOf: Readonly<Record<string, readonly string[]>> = {
  doctor: ['lsm=apparmor'],
  'doctor-selinux': ['lsm=selinux'],
};
/** Stages with systemd as the first process. */
const systemdStages: readonly string[] = ['service-before-boot', 'service-after-boot'];
/** To run only some of them: HOLDFAST_TEST_STAGES=drivers,managed-plugin */
const wanted = process.env['HOLDFAST_TEST_STAGES']?.split(',') ?? lines.flat();
const logs = join(import.meta.dirname, '../../node_modules/.cache/holdfast-kernel');
const guests = join(import.meta.dirname, 'guest');

interface StageReport {
  readonly stage: string;
  readonly end: GuestEnd;
  /** The results of the tests inside, until the end of the guest. */
  readonly lines: readonly GuestLine[];
}

for (const report of await runStages()) {
  describe(report.stage, () => {
    test('the guest runs its tests to the end, and switches itself off', () => {
      const log = join(logs, `${report.stage}.log`);
      const words = `${lastWords(report.end.console)}\n(all of it: ${log})`;
      expect(troubleOf(report), words).toBeUndefined();
    });
    for (const line of report.lines) showLine(line);
  });
}

function troubleOf({ end, lines }: StageReport): string | undefined {
  const last = lines.at(-1);
  const where = last === undefined || !('test' in last) ? '' : `, in or after "${last.file} > ${last.test}"`;
  if (end.trouble !== undefined) return `${end.trouble}${where}`;
  if (last?.kind !== 'end') return `The tests inside did not come to their end${where}`;
  return last.words;
}

/** Shows each test of the guest as one here, with the same name and result. */
function showLine(line: GuestLine): void {
  if (line.kind === 'passed' || line.kind === 'failed') {
    const words = line.kind === 'failed' ? line.words : undefined;
    test(`${line.file} > ${line.test}`, () => expect(words).toBeUndefined());
  }
  if (line.kind === 'file')
    test(`${line.file} ran whole, and left nothing behind`, () => expect(line.words).toBeUndefined());
}

async function runStages(): Promise<StageReport[]> {
  const folder = mkdtempSync(join(tmpdir(), 'guest-'));
  try {
    const reports = await Promise.all(lines.map((stages, i) => runLine(stages, join(folder, String(i)))));
    return reports.flat();
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function runLine(stages: readonly string[], folder: string): Promise<StageReport[]> {
  mkdirSync(folder);
  const disk = join(folder, 'disk');
  writeFileSync(disk, '');
  truncateSync(disk, 2 ** 32);
  const made = spawnSync('mkfs.ext4', ['-q', disk], { encoding: 'utf8' });
  if (made.status !== 0) throw new Error(`mkfs.ext4: ${made.error?.message ?? made.stderr}`);
  const reports: StageReport[] = [];
  for (const stage of stages.filter((name) => wanted.includes(name))) {
    // Compiling inside takes long.
    if (stage === 'managed-plugin')
      await buildPlugin({ target: join(folder, 'plugin'), extras: ['luks', 'nfs', 'cifs'] });
    reports.push(await runStage(stage, folder, disk));
  }
  return reports;
}

async function runStage(stage: string, folder: string, disk: string): Promise<StageReport> {
  const init = join(guests, systemdStages.includes(stage) ? 'systemd-init.ts' : 'init.ts');
  const end = await runGuest({
    folder,
    name: stage,
    init: [process.execPath, init, process.execPath, folder, stage],
    disk,
    memory: '1024M',
    boot: bootOf[stage],
    limitMs: 1_800_000,
  });
  mkdirSync(logs, { recursive: true });
  copyFileSync(join(folder, `${stage}.log`), join(logs, `${stage}.log`));
  return { stage, end, lines: readLines(join(folder, `${stage}.jsonl`)) };
}

function readLines(path: string): GuestLine[] {
  if (!existsSync(path)) return [];
  const whole = readFileSync(path, 'utf8').split('\n').slice(0, -1);
  return whole.map((line) => JSON.parse(line) as GuestLine);
}
