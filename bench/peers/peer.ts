import type { DataSetName } from '../data/data-sets.ts';

/** A program to run with its arguments, never through a shell. */
export interface Command {
  readonly program: string;
  readonly args: readonly string[];
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** The folders of a peer in one round; all absolute. */
export interface Place {
  /** Holds `data/NAME` for each data set. */
  readonly data: string;
  /** An empty directory; its content counts as stored. */
  readonly repository: string;
  /** An empty directory for keys, caches and state; it is the peer's home. */
  readonly home: string;
}

export interface SaveRequest {
  readonly dataSet: DataSetName;
  /** The number of the backup of this data set in this place, from 1. */
  readonly serial: number;
}

export interface RestoreRequest extends SaveRequest {
  /** An empty directory: the last backup is restored to `output/NAME`. */
  readonly output: string;
}

/** A backup program, and how to run it. What it cannot do is absent. */
export interface Peer {
  readonly name: string;
  /** Its executable: names on the PATH or absolute paths. */
  readonly programs: readonly string[];
  /** The Debian packages that contain it, when it is not part of every system. */
  readonly debianPackages?: readonly string[];
  readonly version: readonly string[];
  /** Runs once in each place before anything is measured. */
  readonly prepare?: (place: Place) => Command;
  readonly save?: (place: Place, request: SaveRequest) => Command;
  /** An incremental backup; without it every backup is a first one. */
  readonly saveAgain?: (place: Place, request: SaveRequest) => Command;
  readonly restore?: (place: Place, request: RestoreRequest) => Command;
  /** Reads and verifies everything that is stored. */
  readonly check?: (place: Place) => Command;
  /** Lists the volumes of the engine at this socket. */
  readonly listVolumes?: (place: Place, socket: string) => Command;
}
