export interface DrillRequest {
  /** A volume, or a stack. */
  readonly target: string;
  /** An id, its start or a time; undefined is the newest. */
  readonly snapshot: string | undefined;
  /** Run in the container instead of the preset's check alone, as an argument array; it must exit with 0. */
  readonly command: readonly string[] | undefined;
  /** Keeps what was restored and started, for inspection. */
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
  /** The restored volumes that it was started on. */
  readonly trialVolumes: readonly string[];
  /** What it was asked, for display: `PostgreSQL`, `psql -c …`. */
  readonly asked: readonly string[];
  readonly isHealthy: boolean;
  /** `asked`: it answered for its data, or its health check did. `seen`: it was only seen to run. */
  readonly proof: 'asked' | 'seen' | 'none';
  /** Its mounts that the snapshots do not hold. */
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
   * `proven`: every server that was asked for its data had it; `servers` says which were only seen to run.
   * `started`: none was asked, and the started ones run. `restored`: all data came back whole, and there was
   * nothing to start. `unproven`: a server did not come up, and lacks something that is not in the snapshots:
   * no evidence that data is lost. `failed`: the data is not as it was.
   */
  readonly outcome: 'proven' | 'started' | 'restored' | 'unproven' | 'failed';
  /** Why it is `unproven`. */
  readonly unprovenBecause: readonly string[];
  readonly volumes: readonly DrilledVolume[];
  readonly servers: readonly DrilledServer[];
  /** Volumes for which no server was asked, and why. */
  readonly unasked: readonly { readonly volume: string; readonly reason: string }[];
  /** To restore all data to disk and verify it. */
  readonly restoreMs: number;
  /**
   * The time to recover: from nothing to the last server's first answer. Undefined when a server never
   * answered.
   */
  readonly recoverMs: number | undefined;
  /** Why it failed. */
  readonly problems: readonly string[];
  /** What `keep` left behind. */
  readonly kept: { readonly volumes: readonly string[]; readonly containers: readonly string[] } | undefined;
}
