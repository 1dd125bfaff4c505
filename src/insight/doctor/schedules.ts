import type { AuditLog } from '../../activity/index.ts';
import type { Container } from '../../hosts/containers.ts';
import { knownError } from '../../lib/known-error.ts';
import type { Volume } from '../../model/volume.ts';
import { cronOutcomes } from './cron-outcomes.ts';
import type { Diagnosis, Remark } from './diagnosis.ts';
import { lookAtCron, ownUnits, unitFaults } from './own-units.ts';
import { findRestarters, planUnits } from './restarters.ts';
import { askUnits, readCronEntries, readUnits } from './units.ts';

export interface SchedulesRequest {
  readonly containers: readonly Container[];
  readonly volumes: readonly Volume[];
  readonly log: Pick<AuditLog, 'list'>;
  readonly stateDir: string;
  readonly nowMs: number;
}

/**
 * What works by itself on this machine, read once and asked once: what starts a container again that a backup has
 * stopped, and units and entries of cron that run Holdfast and fail.
 */
export async function diagnoseSchedules(
  { containers, volumes, log, stateDir, nowMs }: SchedulesRequest,
  signal: AbortSignal | undefined,
): Promise<Diagnosis> {
  const [units, entries] = [readUnits(), readCronEntries()];
  const [planned, own] = [planUnits(containers, units), ownUnits(units)];
  const findings = [...findRestarters(containers, entries), ...lookAtCron(entries)];
  const notLookedAt: Remark[] = [];
  const leaveOut = (subject: string, error: unknown): void => {
    const { code, message } = knownError(error);
    if (code === 'cancelled') throw error;
    notLookedAt.push({ subject, reason: message });
  };
  try {
    findings.push(...(await cronOutcomes(entries, { log, volumes, stateDir, nowMs })));
  } catch (error) {
    leaveOut('what the log says of entries of cron', error);
  }
  try {
    const asked = new Set([...planned.map(({ unit }) => unit), ...own]);
    const states = await askUnits([...asked], signal);
    const isAtWork = (unit: string): boolean => /^(?:activ|reload)/.test(states.get(unit)?.active ?? '');
    findings.push(
      ...planned.filter(({ unit }) => isAtWork(unit)).map(({ finding }) => finding),
      ...unitFaults(own, units, states),
    );
  } catch (error) {
    leaveOut('units of systemd', error);
  }
  return { findings, notLookedAt };
}
