import type { ManagedVolume } from '../../app/app.ts';
import { processStart } from '../../lib/process-identity.ts';

/**
 * Who holds a volume mounted, as the volumes remember it: `docker:PID:START:ID`. The id is the engine's, the process
 * the engine that said it first: one that has crashed never takes its ids back.
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

/** A hold is of its id, whichever process says so: an engine that was started again has another number. */
export function holdOf(volume: ManagedVolume | undefined, { id, pid }: Pick<Holder, 'id' | 'pid'>): string {
  const known = volume?.mountIds.find((held) => parseHolder(held)?.id === id);
  return known ?? `docker:${pid ?? ''}:${pid === undefined ? '' : (processStart(pid) ?? '')}:${id}`;
}

/** Whether the process that said the id still runs; true when that cannot be told. */
export function isIssuerAlive({ pid, start }: Holder): boolean {
  return pid === undefined || start === undefined || processStart(pid) === start;
}
