import path from 'node:path';
import type { Container } from '../../hosts/containers.ts';
import { quote } from '../../model/quote.ts';
import { formatSize } from '../../model/size.ts';
import { parseGroups } from '../usage/top/parse.ts';
import { folderOf, type GroupFolders } from '../usage/top/read-sample.ts';
import type { DoctorFinding } from './diagnosis.ts';
import { readOrNothing } from './read-or-nothing.ts';

/** Percent of the time. A disk is to be waited for; memory is not, and a tenth of the time is much. */
const muchWaiting = { io: 40, memory: 10 };

/** How long a container waits for its disk and for memory, as the kernel counts it for its control group of version 2. */
export function diagnoseWaiting(
  container: Container,
  folders: GroupFolders & { readonly memory: string | undefined },
): DoctorFinding[] {
  const { pid } = container;
  if (pid === undefined) return [];
  const text = readOrNothing(`/proc/${pid}/cgroup`);
  const groups = parseGroups(text);
  const unified = folderOf(folders.unified, groups.unified);
  if (unified === undefined) return [];
  const blkio = folderOf(folders.blkio, groups.blkio);
  const memory = folderOf(folders.memory, /^\d+:(?:[^:]*,)?memory(?:,[^:]*)?:(\/.*)$/m.exec(text)?.[1]);
  const share = (kind: 'io' | 'memory'): number =>
    shareWaiting(readOrNothing(path.join(unified, `${kind}.pressure`))) ?? 0;
  const [io, memoryShare] = [share('io'), share('memory')];
  return [
    ...(io < muchWaiting.io ? [] : [waitsForDisk(container, io, limitsOfDisks(unified, blkio))]),
    ...(memoryShare < muchWaiting.memory
      ? []
      : [waitsForMemory(container, memoryShare, limitOfMemory(unified, memory))]),
  ];
}

/** Percent of the last ten seconds in which some program waited; undefined where it is not counted. Pure. */
export function shareWaiting(pressure: string): number | undefined {
  const share = /^some avg10=([\d.]+)/m.exec(pressure)?.[1];
  return share === undefined ? undefined : Math.round(Number(share));
}

/** What the container's own settings allow it, in the words of the kernel. */
function limitsOfDisks(unified: string, blkio: string | undefined): string[] {
  const ofVersion2 = readOrNothing(path.join(unified, 'io.max')).split('\n').filter(Boolean);
  if (blkio === undefined) return ofVersion2;
  const kinds = ['read_bps', 'write_bps', 'read_iops', 'write_iops'] as const;
  const ofVersion1 = kinds.flatMap((kind) =>
    readOrNothing(path.join(blkio, `blkio.throttle.${kind}_device`))
      .split('\n')
      .filter(Boolean)
      .map((line) => `${line.replace(' ', ` ${kind}=`)}`),
  );
  return [...ofVersion2, ...ofVersion1];
}

/** In bytes; undefined for none. */
function limitOfMemory(unified: string, memory: string | undefined): number | undefined {
  const text =
    readOrNothing(path.join(unified, 'memory.max')) ||
    (memory === undefined ? '' : readOrNothing(path.join(memory, 'memory.limit_in_bytes')));
  const bytes = Number(text.trim() || Number.NaN);
  // Version 1 has the largest number that it knows for none.
  return Number.isFinite(bytes) && bytes < 2 ** 60 ? bytes : undefined;
}

const counted = 'counted by the kernel for its control group, over the last ten seconds';

function waitsForDisk({ name }: Container, share: number, limits: readonly string[]): DoctorFinding {
  const isLimited = limits.length > 0;
  return {
    id: 'HF-D060',
    rule: 'waits-for-disk',
    severity: 'downtime',
    subject: { kind: 'container', name },
    message: `${quote(name)} waits for its disk for ${share}% of the time`,
    meaning: isLimited
      ? 'It is as slow as its disk is, or as its own limit makes it.'
      : 'It is as slow as its disk is.',
    evidence: [counted, ...limits.map((limit) => `it is limited: device ${quote(limit)}`)],
    remedy: isLimited
      ? 'Make it anew without its limit (--device-read-bps and the like, "blkio_config" in a Compose file), or with a higher one.'
      : 'See which program keeps the disk busy, or give it a faster one.',
    commands: [['docker', 'stats', '--no-stream', name]],
    position: undefined,
    fix: undefined,
  };
}

function waitsForMemory({ name }: Container, share: number, limitBytes: number | undefined): DoctorFinding {
  return {
    id: 'HF-D062',
    rule: 'waits-for-memory',
    severity: 'downtime',
    subject: { kind: 'container', name },
    message: `${quote(name)} waits for memory for ${share}% of the time`,
    meaning: 'It has less memory than it needs, and reads the same data from its disk again and again.',
    evidence: [
      counted,
      limitBytes === undefined
        ? 'it has no limit of its own: the machine is short of memory'
        : `its limit is ${formatSize(limitBytes)}`,
    ],
    remedy:
      limitBytes === undefined
        ? 'Let other programs use less, or give the machine more memory.'
        : 'Give it more memory; where a Compose file says how much, there too.',
    commands:
      limitBytes === undefined
        ? [['docker', 'stats', '--no-stream']]
        : [
            [
              'docker',
              'update',
              ...['--memory', '--memory-swap'].flatMap((flag) => [flag, `${2 * limitBytes}b`]),
              name,
            ],
          ],
    position: undefined,
    fix: undefined,
  };
}
