import koffi from 'koffi';
import { ioctl } from './ioctl.ts';

/** Whose use a limit counts. */
export type QuotaKind = 'user' | 'group' | 'project';

/** A limit and what is used of it. 0 as a limit: there is none. */
export interface DiskQuota {
  readonly hardBytes: number;
  readonly softBytes: number;
  readonly usedBytes: number;
  readonly hardFiles: number;
  readonly softFiles: number;
  readonly usedFiles: number;
  /** When what is above the soft limit is refused, in seconds since 1970; 0 while it is below. */
  readonly bytesUntil: number;
  readonly filesUntil: number;
}

const quotactl = koffi.load(null).func('int quotactl(int cmd, const char *device, int id, void *into)');

/** From linux/quota.h and linux/dqblk_xfs.h. */
const getQuota = 0x80_0007;
const getState = 0x5805;
const numberOf = { user: 0, group: 1, project: 2 } as const;
const enforced = { user: 1 << 1, group: 1 << 3, project: 1 << 5 } as const;
const blockBytes = 1024;

/**
 * The limit of a user, group or project on the file system of a block device. Undefined where limits are off,
 * only counted, or may not be read. Changes nothing.
 */
export function readQuota(device: string, kind: QuotaKind, id: number): DiskQuota | undefined {
  const type = numberOf[kind];
  const state = Buffer.alloc(128);
  if (quotactl((getState << 8) | type, device, 0, state) !== 0) return undefined;
  if ((state.readUInt16LE(2) & enforced[kind]) === 0) return undefined;
  const quota = Buffer.alloc(128);
  if (quotactl((getQuota << 8) | type, device, id | 0, quota) !== 0) return undefined;
  const number = (index: number): number => Number(quota.readBigUInt64LE(index * 8));
  return {
    hardBytes: number(0) * blockBytes,
    softBytes: number(1) * blockBytes,
    usedBytes: number(2),
    hardFiles: number(3),
    softFiles: number(4),
    usedFiles: number(5),
    bytesUntil: number(6),
    filesUntil: number(7),
  };
}

const getAttributes = 0x801c_581f;

/** The project to which an open file or directory is counted; 0 for none. Not open by O_PATH. */
export function projectOf(fd: number): number {
  const attributes = Buffer.alloc(28);
  return ioctl(fd, getAttributes, 'void *', attributes) === 0 ? attributes.readUInt32LE(12) : 0;
}
