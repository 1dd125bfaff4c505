import type { Entry } from '../model/entry.ts';
import type { ConsumerState } from '../model/volume.ts';

export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
}

/**
 * Identifies a container. The id tells whether it is still the same: nothing is known of one recreated under
 * the same name or for the same service. The other fields are for messages, and for leases that outlive it.
 */
export interface ContainerIdentity {
  readonly id: string;
  readonly name: string;
  readonly stack: string | undefined;
  readonly service: string | undefined;
  /** Compose's container number; 1 for others. */
  readonly number: number;
  /** The Swarm service that creates and replaces it. */
  readonly swarmService: string | undefined;
}

export type Health = 'none' | 'starting' | 'healthy' | 'unhealthy';

/** One container as its host sees it. */
export interface Container extends ContainerIdentity {
  /** As requested: `postgres:16`. */
  readonly image: string;
  /** The image's content id. */
  readonly imageId: string;
  readonly state: ConsumerState;
  readonly health: Health;
  /** How many consecutive health checks must fail; undefined without a health check, or when unknown. */
  readonly healthRetries?: number | undefined;
  /** The current number of consecutive failures. */
  readonly healthFailures?: number | undefined;
  /** The interval between checks, in milliseconds. */
  readonly healthIntervalMs?: number | undefined;
  /** The end of the last check, RFC 3339. */
  readonly healthCheckedAt?: string | undefined;
  readonly exitCode: number | undefined;
  /** True when its restart policy may start it again at once after a stop. */
  readonly restarts: boolean;
  /**
   * True for one that the engine removes when it has stopped (`--rm`): it can be paused, and must not be
   * stopped.
   */
  readonly removesItself?: boolean | undefined;
  /** Names of the services of its stack that it waits for (Compose's `depends_on`). */
  readonly dependsOn: readonly string[];
  /**
   * Ids or names of the containers whose network, processes or shared memory it joins. When one of them is
   * restarted, it has lost these until it is restarted itself.
   */
  readonly joins?: readonly string[] | undefined;
  /** Ids or names of the containers whose mounts it shares. */
  readonly volumesFrom?: readonly string[] | undefined;
  /** How long it has to stop by itself; Infinity for no limit. */
  readonly stopTimeoutMs?: number | undefined;
  readonly labels: Readonly<Record<string, string>>;
  /**
   * Labels from its image, set by the image's author and not by the user; undefined when they cannot be told
   * apart.
   */
  readonly imageLabels: Readonly<Record<string, string>> | undefined;
  readonly environment: Readonly<Record<string, string>>;
  readonly command: readonly string[];
  /** The entrypoint, when it is separate from the command. */
  readonly entrypoint?: readonly string[];
  readonly user: string;
  /** True for one with all devices and all rights of root. */
  readonly privileged?: boolean | undefined;
  /** Capabilities that it lacks or has besides the engine's usual ones: `ALL`, `DAC_OVERRIDE`. */
  readonly capabilities?:
    | { readonly dropped: readonly string[]; readonly added: readonly string[] }
    | undefined;
  /** True for one whose own file system takes no writes (`--read-only`). */
  readonly hasReadOnlyRoot?: boolean | undefined;
  /** As given at its creation: `seccomp=unconfined`. */
  readonly securityOptions?: readonly string[] | undefined;
  readonly mounts: readonly ContainerMount[];
  /** Process id of its first process on the engine's machine; undefined when it is not running. */
  readonly pid: number | undefined;
  /** RFC 3339. */
  readonly startedAt: string | undefined;
  /** When it last stopped, by the engine's clock, RFC 3339. */
  readonly finishedAt?: string | undefined;
}

export interface ContainerMount {
  readonly type: 'volume' | 'bind' | 'tmpfs' | 'other';
  /** Volume name or host path; undefined for tmpfs. */
  readonly source: string | undefined;
  readonly destination: string;
  readonly readOnly: boolean;
  /** Of a volume, the folder in it that is mounted, if not all of it is. */
  readonly subpath?: string | undefined;
  /** Of a bind mount: `rprivate`, `rslave`, `rshared`. */
  readonly propagation?: string | undefined;
  /** Of a tmpfs, as the engine got them: `size=64m,exec`. */
  readonly memoryOptions?: string | undefined;
}

/** What an image declares about the data of its containers. */
export interface Image {
  /** Its content id. */
  readonly id: string;
  /** `USER`: a name or number, with a group after a colon if it has one; '' is root. */
  readonly user: string;
  /** `VOLUME`: paths that get an anonymous volume where nothing else is mounted. */
  readonly volumes: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
}

export interface ExecRequest {
  readonly command: readonly string[];
  readonly user?: string | undefined;
  readonly workingDir?: string | undefined;
  /** Secrets go here or through `stdin`, never into `command`, which every user of the machine can see. */
  readonly environment?: Readonly<Record<string, string>> | undefined;
  readonly stdin?: AsyncIterable<Uint8Array> | undefined;
}

export interface ExecRun {
  /** Ends when the command has closed it. Must be read, or the command blocks. */
  readonly stdout: AsyncIterable<Uint8Array>;
  /** Resolves when the command has ended. `stderr` holds at most its last 64 KiB. */
  readonly ended: Promise<{ readonly exitCode: number; readonly stderr: string }>;
}

/** The label of everything in a trial: its container, its network, its volumes. */
export const trialLabel = 'holdfast.trial';

/** The prefix of all names created by trials. */
export const trialPrefix = 'holdfast-trial-';

export interface TrialFile {
  readonly entry: Entry;
  readonly content: Uint8Array;
}

/** A container for a drill, without any outside connection. */
export interface TrialRequest {
  readonly name: string;
  /** A content id or a name that the engine has: nothing is pulled. `not-found` otherwise. */
  readonly image: string;
  readonly command?: readonly string[] | undefined;
  readonly entrypoint?: readonly string[] | undefined;
  readonly user?: string | undefined;
  readonly environment: Readonly<Record<string, string>>;
  /** Volume names by path in the container. */
  readonly volumes: Readonly<Record<string, string>>;
  /** Copied into it before it is started; paths are those in the container without the leading slash. */
  readonly files?: readonly TrialFile[] | undefined;
  readonly labels: Readonly<Record<string, string>>;
  /** Trials of one stack share an internal network of this name, each by its service's name. */
  readonly network?: { readonly name: string; readonly alias: string } | undefined;
}

/**
 * The containers of a host. Every call may be repeated: stopping a stopped container, starting a running one,
 * pausing a paused one is no error. `not-found` when the container does not exist.
 */
export interface Containers {
  /** All containers, running or not, with every field of `Container`. */
  list(options?: CallOptions): Promise<Container[]>;
  /** By id or name. */
  find(idOrName: string, options?: CallOptions): Promise<Container | undefined>;
  /**
   * Ends the first process by the container's own signal, and by force after the time-out, by default the
   * container's own. Returns when the container has stopped.
   */
  stop(id: string, options: CallOptions & { readonly timeoutMs?: number }): Promise<void>;
  start(id: string, options?: CallOptions): Promise<void>;
  pause(id: string, options?: CallOptions): Promise<void>;
  /** False when it was not paused. */
  unpause(id: string, options?: CallOptions): Promise<boolean>;
  /**
   * True when the engine's memory reaches back to a time, in milliseconds since 1970, and shows that a stop
   * or a signal was requested since. An engine forgets with time, and when it restarts: then false.
   */
  wasAskedToEnd(id: string, sinceMs: number, options?: CallOptions): Promise<boolean>;
  /** How far the engine's clock is ahead of this machine's. */
  clockAheadMs(options?: CallOptions): Promise<number>;
  /** Runs a command in a running container, without a terminal and without a shell. Cancelling ends it. */
  exec(id: string, request: ExecRequest, options?: CallOptions): Promise<ExecRun>;
  /** The number of tasks that a Swarm service wants; undefined for a global one. */
  serviceReplicas(service: string, options?: CallOptions): Promise<number | undefined>;
  /** How many tasks of a Swarm service are running. */
  runningTasks(service: string, options?: CallOptions): Promise<number>;
  /** True when one of its tasks on this machine was killed since, as far as the engine remembers. */
  wereTasksKilled(service: string, sinceMs: number, options?: CallOptions): Promise<boolean>;
  /**
   * Sets the number of tasks, and returns when that many are running, or `atLeast` where others cannot run.
   */
  scaleService(
    service: string,
    replicas: number,
    options?: CallOptions & { readonly atLeast?: number | undefined },
  ): Promise<void>;
  /** Creates and starts a container for a drill. */
  startTrial(request: TrialRequest, options?: CallOptions): Promise<Container>;
  /**
   * Removes by force everything with this value of `trialLabel`: containers with their anonymous volumes, and
   * networks.
   */
  removeTrial(trial: string, options?: CallOptions): Promise<void>;
  /**
   * What an image declares, by its name (`postgres:16`) or content id; undefined when the host does not have
   * it: nothing is pulled.
   */
  findImage(name: string, options?: CallOptions): Promise<Image | undefined>;
  /**
   * The content of a small file of a container, running or not, found in the container's own root; undefined
   * where there is no file of at most a mebibyte.
   */
  readFile(id: string, path: string, options?: CallOptions): Promise<Uint8Array | undefined>;
  /** The end of its output. */
  logs(id: string, options?: CallOptions & { readonly lines?: number }): Promise<string>;
  /**
   * Removes a container by force with its anonymous volumes, and a trial's network when it was the last in
   * it.
   */
  remove(id: string, options?: CallOptions): Promise<void>;
}
