import type { Container, Containers, TrialFile } from '../../hosts/containers.ts';
import { isAppError } from '../../model/errors.ts';
import type { JobOptions } from '../../activity/index.ts';
import type { TrialServer } from './plan-servers.ts';
import { trialEnvironment } from './trial-environment.ts';
import type { Trial } from './trial.ts';

export interface ServerStart {
  readonly containers: Containers;
  readonly server: TrialServer;
  readonly trial: Trial;
  /** For trials that reach each other. */
  readonly network: string | undefined;
  /** What it needs besides its data. */
  readonly files: readonly TrialFile[];
}

/** `startedAt` is by the clock of `performance.now()`. */
export type StartedServer =
  | { readonly name: string; readonly container: Container; readonly startedAt: number }
  | {
      readonly name: string;
      readonly container: undefined;
      readonly problem: string;
      readonly log: undefined;
    };

/**
 * Starts a container of a trial. A container that cannot be started on this data is a finding; a missing
 * image is thrown.
 */
export async function startServer(
  { containers, server, trial, network, files }: ServerStart,
  options: JobOptions,
): Promise<StartedServer> {
  const { plan, volumes } = server;
  const { image, command, entrypoint, user, alias, live } = plan;
  const environment = await trialEnvironment(containers, plan, options);
  const name = trial.nameOf(plan.name);
  const startedAt = performance.now();
  try {
    const request = {
      ...{ name, image, command, entrypoint, user, environment, volumes, files },
      labels: { ...loginLabels(live?.labels ?? {}), ...trial.labels },
      network: network === undefined ? undefined : { name: network, alias },
    };
    return { name, container: await containers.startTrial(request, { signal: options.signal }), startedAt };
  } catch (error) {
    if (!isAppError(error, 'failed') && !isAppError(error, 'usage')) throw error;
    const problem = error.detail === undefined ? error.message : `${error.message}: ${error.detail}`;
    return { name, container: undefined, problem, log: undefined };
  }
}

/**
 * Keeps labels that say how to log in. All others would make the trial part of the stack, or run hooks in it.
 */
function loginLabels(labels: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(labels).filter(([key]) => key.startsWith('holdfast.database.')));
}
