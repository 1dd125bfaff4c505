export const hookMoments = ['before', 'during', 'after', 'on-error'] as const;

/**
 * `before` the data is read, while everything runs. `during`: when the containers that are made still are so, and before
 * the data is read. `after` all containers run again, whatever came of the backup. `on-error`: the same, when it failed.
 */
export type HookMoment = (typeof hookMoments)[number];

/** A command that is run in a container around a backup. */
export interface Hook {
  readonly moment: HookMoment;
  /** A container's name, or a service of the stack that the volume or container belongs to; undefined is the container that says it. */
  readonly target: string | undefined;
  readonly command: readonly string[];
  /** Undefined is the container's own. */
  readonly user: string | undefined;
  /** It is ended after that. */
  readonly timeoutMs: number;
  /** `abort`: the backup fails. What comes after the data is saved cannot undo it, and makes its run a failed one. */
  readonly onFailure: 'abort' | 'warn';
  /**
   * It may run in every container of the host: the configuration of the machine says it. What labels and Compose files
   * say runs in their own container or Compose project only.
   */
  readonly runsAnywhere?: boolean | undefined;
  /** Where it was said, for people: `the label "holdfast.hook.before"`. */
  readonly origin: string;
}

/** A hook that does nothing for longer than this hangs. */
export const defaultHookTimeoutMs = 10 * 60_000;

/** What comes after the data is saved cannot undo it, and is heard of: an application may still be as it was prepared. */
export function usualOnFailure(moment: HookMoment): Hook['onFailure'] {
  return moment === 'on-error' ? 'warn' : 'abort';
}
