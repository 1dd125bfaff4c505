import type { ManagedVolume } from '../../app/app.ts';
import { processStart } from '../../lib/process-identity.ts';

/**
 * The holder of a mounted volume as the catalog has it: `docker:PID:START:ID`. The id is the engine's, the
 * process the engine that first sent it: one that has crashed never releases its ids.
 */
export interface Holder {
  readonly pid: number | undefined;
  readonly start: string | undefined;
  readonly id: string;
}

const form = /^docker:(\d*):(\d*):(.*)$/s;

export function parseHolder(text: string): Holder | undefined {
  const [, pid = '', start = '', id] = form.exec(text) ?? [];
  if (id === undefined) return undefined;
  return { pid: pid === '' ? undefined : Number(pid), start: start === '' ? undefined : start, id };
}

/** A hold belongs to its id, whichever process sends it: a restarted engine has another number. */
export function holdOf(volume: ManagedVolume | undefined, { id, pid }: Pick<Holder, 'id' | 'pid'>): string {
  const known = volume?.mountIds.find((held) => parseHolder(held)?.id === id);
  return known ?? `docker:${pid ?? ''}:${pid === undefined ? '' : (processStart(pid) ?? '')}:${id}`;
}

/** Whether the process that sent the id still runs; true when that is unknown. */
export function isIssuerAlive({ pid, start }: Holder): boolean {
  return pid === undefined || start === undefined || processStart(pid) === start;
}
