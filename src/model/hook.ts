export const hookMoments = ['before', 'during', 'after', 'on-error'] as const;

/**
 * `before` the data is read, while everything runs. `during`: when the containers are still, before the data
 * is read. `after`: when all containers run again, whatever the result of the backup. `on-error`: the same,
 * after a failure.
 */
export type HookMoment = (typeof hookMoments)[number];

/** A command that is run in a container around a backup. */
export interface Hook {
  readonly moment: HookMoment;
  /**
   * A container's name, or a service of the stack of the volume or container; undefined for the container
   * with the label.
   */
  readonly target: string | undefined;
  readonly command: readonly string[];
  /** Undefined for the container's own user. */
  readonly user: string | undefined;
  /** The command is ended after this. */
  readonly timeoutMs: number;
  /**
   * `abort`: the backup fails. After the data is saved, a failure cannot undo that, but makes the run a
   * failed one.
   */
  readonly onFailure: 'abort' | 'warn';
  /**
   * May run in every container of the host, because the machine's configuration says so. Hooks in labels and
   * Compose files run only in their own container or Compose project.
   */
  readonly runsAnywhere?: boolean | undefined;
  /** Where it is defined, for messages: `the label "holdfast.hook.before"`. */
  readonly origin: string;
}

/** A hook without progress for longer than this counts as hung. */
export const defaultHookTimeoutMs = 10 * 60_000;

/**
 * A failure after the data is saved cannot undo that, but is reported: an application may still be in its
 * prepared state.
 */
export function usualOnFailure(moment: HookMoment): Hook['onFailure'] {
  return moment === 'on-error' ? 'warn' : 'abort';
}
