import { randomBytes } from 'node:crypto';
import { pidNamespace, processStart } from '../../lib/process-identity.ts';

/** An id for a hold of this process, which ends with it. */
export function processHoldId(): string {
  const { pid } = process;
  return `process:${pid}:${processStart(pid) ?? ''}:${pidNamespace()}:${randomBytes(6).toString('hex')}`;
}

/** Whether a hold's process runs, as far as this one can see; undefined for an id that is no process's. */
export function isProcessHoldAlive(id: string): boolean | undefined {
  const [, pid, start, namespace] = /^process:(\d+):(\d*):(?:(\d*):)?[0-9a-f]+$/.exec(id) ?? [];
  if (pid === undefined) return undefined;
  // In a container the number is another process, or none. An earlier version recorded no namespace.
  if (namespace !== undefined && namespace !== pidNamespace()) return true;
  return processStart(Number(pid)) === start;
}
