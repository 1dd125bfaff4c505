import { setTimeout as sleep } from 'node:timers/promises';
import type { Host } from '../hosts/host.ts';
import { AppError, isAppError } from '../model/errors.ts';
import type { JobOptions } from '../activity/index.ts';
import { type OpenAppJournal, takeLeftJournal } from './app-journal.ts';
import { holdApps } from './hold-apps.ts';
import type { AppStep } from './plan-containers.ts';
import { putBack, type PutBackReport } from './put-back.ts';
import { noteRefusal, startOnce } from './start-refusal.ts';

export interface PutBackLeftOptions extends JobOptions {
  /** How long to wait for an engine that does not answer, and for other processes that hold the containers. */
  readonly patienceMs?: number | undefined;
  /** True at the start of a command: what an engine has refused before is tried once, without waiting. */
  readonly isAtStart?: boolean | undefined;
}

/** Brings back what a killed job's journal says, and holds the containers meanwhile. The journal stays. */
export async function putBackLeft(
  {
    host,
    stateDir,
    opened,
  }: { readonly host: Host; readonly stateDir: string; readonly opened: OpenAppJournal },
  options: PutBackLeftOptions,
): Promise<PutBackReport> {
  const { levels, hostIdentity, reason } = opened.journal;
  const { containers } = host;
  if (containers === undefined) throw new AppError('unsupported', 'This host runs no containers');
  const identities = levels.flat().map((step) => step.identity);
  await using _held = await holdApps(
    { stateDir, hostIdentity, containers: identities, reason, host },
    options,
  );
  await opened.freeReserve();
  // Only with several levels does a later container depend on an earlier one's health.
  const healthyWithinMs = levels.length > 1 ? Math.min(options.patienceMs ?? healthMs, healthMs) : undefined;
  const isUnsure = (): boolean => true;
  const touchedAtMs = ({ touchedAtMs: at }: AppStep): number | undefined => at;
  const how = { ...options, isUnsure, healthyWithinMs, touchedAtMs };
  const start = (patienceMs = options.patienceMs): Promise<PutBackReport> =>
    putBack(containers, levels, { ...how, patienceMs });
  return await (options.isAtStart === true ? startOnce(opened.refusal, start) : start());
}

const healthMs = 60_000;

/** The killed process's lock ends with its last thread, which may come after the end of its pipes. */
const lockPatienceMs = 10_000;
/** An engine that is restarted, with all that the machine then starts; a refusal is not waited for that long. */
const enginePatienceMs = 10 * 60_000;

/**
 * What a guardian does when the process that it watches has been killed: brings back what the journal says, and leaves the
 * journal for the next command, which tells of the job. What cannot be brought back is left to that command as well.
 */
export async function putBackAtOnce(host: Host, stateDir: string, journal: string): Promise<void> {
  await using opened = await takeLeftJournal(stateDir, journal, { patienceMs: lockPatienceMs });
  if (opened === undefined || opened.journal.levels.length === 0) return;
  try {
    const deadline = performance.now() + enginePatienceMs;
    if ((await identityOf(host, deadline)) !== opened.journal.hostIdentity) return;
    const patienceMs = deadline - performance.now();
    await opened.noteBack(await putBackLeft({ host, stateDir, opened }, { patienceMs }));
  } catch (error) {
    await noteRefusal(opened.refusal, error);
  }
}

async function identityOf(host: Host, deadline: number): Promise<string> {
  for (;;) {
    try {
      return (await host.info()).identity;
    } catch (error) {
      if (!isAppError(error, 'unavailable') || performance.now() > deadline) throw error;
      await sleep(500);
    }
  }
}
