import type { ManagedVolumes } from '../managed/managed-volumes.ts';
import type { Mount } from '../../model/mount.ts';

/** A command with volumes in its place, in a namespace of its own. */
export interface RunRequest {
  readonly mounts: readonly Mount[];
  /** The command and its arguments. */
  readonly command: readonly string[];
  /** Where it starts, inside; undefined takes where we are, or `/` when that is not there. */
  readonly workingDir: string | undefined;
  /** Besides the environment of this process. */
  readonly environment: Readonly<Record<string, string>>;
}

export interface RunOptions {
  /** Asks that it end: the command gets SIGTERM. */
  readonly signal?: AbortSignal | undefined;
  /** Signals that are to be passed on; returns what ends that. */
  readonly onSignals?: ((pass: (name: NodeJS.Signals) => void) => Disposable) | undefined;
  readonly onNote?: ((message: string) => void) | undefined;
}

export interface RunReport {
  /** Of the command; 128 and the signal's number when one ended it. */
  readonly exitCode: number;
}

export interface RunParts {
  readonly managed: ManagedVolumes;
  /** What is kept here is not copied into a volume. */
  readonly stateDir: string;
  /** An id for holds that end with this process. */
  readonly holdId: () => string;
}
