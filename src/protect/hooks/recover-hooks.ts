import type { JobOptions, Protection } from '../protection.ts';
import { hasHookJournals, takeLeftHookJournals } from './hook-journal.ts';
import { runDueHooks } from './hook-run.ts';

export interface RecoveredHooks {
  /** The first word of each command that ran. */
  readonly ran: readonly string[];
  /** Why others did not: they are not tried again. */
  readonly failed: readonly string[];
}

/**
 * Runs the hooks that a backup which was killed has left due: an application that was told to prepare must be told that it
 * is over. Only for the host that they were written for. To be called when its containers are back.
 */
export async function recoverHooks(parts: Protection, options: JobOptions): Promise<RecoveredHooks> {
  const ran: string[] = [];
  const failed: string[] = [];
  if (!(await hasHookJournals(parts.stateDir))) return { ran, failed };
  const host = await parts.host();
  const { identity } = await host.info({ signal: options.signal });
  for (const opened of await takeLeftHookJournals(parts.stateDir)) {
    await using left = opened;
    const { hostIdentity, environment, hooks } = left.journal;
    if (hostIdentity !== identity || host.containers === undefined) continue;
    const failures = await runDueHooks(host.containers, {
      hooks,
      environment: { ...environment, HOLDFAST_OUTCOME: 'failed', HOLDFAST_MESSAGE: 'The backup was killed' },
    });
    failed.push(...failures.map(({ error }) => error.message));
    const bad = new Set(failures.map(({ hook }) => hook));
    ran.push(...hooks.filter(({ hook }) => !bad.has(hook)).map(({ hook }) => hook.command[0] ?? ''));
    await left.remove();
  }
  return { ran, failed };
}
