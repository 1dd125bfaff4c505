export interface DrillRequest {
  /** A volume, or a stack. */
  readonly target: string;
  /** An id, its start or a time; undefined is the newest. */
  readonly snapshot: string | undefined;
  /** Run in the container instead of only the preset's check, as an argument array; it has to end with 0. */
  readonly command: readonly string[] | undefined;
  /** Leaves what was restored and started, for a look at it. */
  readonly keep: boolean;
  /** How long a server may take to answer. */
  readonly readyWithinMs: number;
}

export interface DrilledVolume {
  readonly name: string;
  readonly snapshotId: string;
  /** RFC 3339. */
  readonly snapshotTime: string;
  readonly files: number;
  readonly bytes: number;
  /** The volume that it was restored to. */
  readonly trialVolume: string;
}

export interface DrilledServer {
  /** The container or service whose image was started. */
  readonly name: string;
  readonly image: string;
  readonly trialContainer: string;
  /** What was asked of it, for people: `PostgreSQL`, `psql -c …`. */
  readonly asked: readonly string[];
  readonly isHealthy: boolean;
  /** `asked`: it answered for its data, or its health check did. `seen`: it was only seen to run. */
  readonly proof: 'asked' | 'seen' | 'none';
  /** What it mounts and what the snapshots do not have. */
  readonly lacks: readonly string[];
  /** From its start to its first answer. */
  readonly readyAfterMs: number | undefined;
  /** `2 databases`, `14 tables`. */
  readonly facts: readonly string[];
  readonly counts: Readonly<Record<string, number>>;
  readonly problems: readonly string[];
  /** The end of its log, when it is not healthy. */
  readonly log: string | undefined;
}

export interface DrillReport {
  readonly target: string;
  readonly kind: 'volume' | 'stack';
  /**
   * `proven`: what was asked for its data had it; the servers say which of them were only seen to run. `started`: none was asked,
   * and those that were started run. `restored`: all data came back whole, and there was nothing to start. `unproven`: one did not
   * come up, and it lacks what is not in the snapshots: nothing says that data is lost. `failed`: the data is not what it was.
   */
  readonly outcome: 'proven' | 'started' | 'restored' | 'unproven' | 'failed';
  /** Why it is `unproven`. */
  readonly unprovenBecause: readonly string[];
  readonly volumes: readonly DrilledVolume[];
  readonly servers: readonly DrilledServer[];
  /** Of which volume nobody was asked, and why. */
  readonly unasked: readonly { readonly volume: string; readonly reason: string }[];
  /** All of the data, to disk and verified. */
  readonly restoreMs: number;
  /** The time to recover: from nothing to the last server's first answer. Undefined when it did not come to that. */
  readonly recoverMs: number | undefined;
  /** Why it failed. */
  readonly problems: readonly string[];
  /** What stays, with `keep`. */
  readonly kept: { readonly volumes: readonly string[]; readonly containers: readonly string[] } | undefined;
}
