import type { Entry } from '../model/entry.ts';
import type { ConsumerState } from '../model/volume.ts';

export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
}

/**
 * What a container is. Its id tells whether it is still the same one: of a container that was made anew under the same name
 * or for the same service, nothing is known. The rest is for people, and for leases that outlive it.
 */
export interface ContainerIdentity {
  readonly id: string;
  readonly name: string;
  readonly stack: string | undefined;
  readonly service: string | undefined;
  /** Compose's container number; 1 for others. */
  readonly number: number;
  /** The Swarm service that makes and replaces it. */
  readonly swarmService: string | undefined;
}

export type Health = 'none' | 'starting' | 'healthy' | 'unhealthy';

/** One container as its host sees it. */
export interface Container extends ContainerIdentity {
  /** As it was asked for: `postgres:16`. */
  readonly image: string;
  /** The image's content id. */
  readonly imageId: string;
  readonly state: ConsumerState;
  readonly health: Health;
  /** How many checks of its health have to fail in a row; undefined where there is none, or it is not known. */
  readonly healthRetries?: number | undefined;
  /** How many have failed in a row by now. */
  readonly healthFailures?: number | undefined;
  /** How long after one the next begins, in milliseconds. */
  readonly healthIntervalMs?: number | undefined;
  /** When the last has ended, RFC 3339. */
  readonly healthCheckedAt?: string | undefined;
  readonly exitCode: number | undefined;
  /** The restart policy: a container that stops may be started by the engine at once. */
  readonly restarts: boolean;
  /** True for one that the engine removes when it has stopped (`--rm`): it can be paused, and must not be stopped. */
  readonly removesItself?: boolean | undefined;
  /** Names of the services of its stack that it waits for (Compose's `depends_on`). */
  readonly dependsOn: readonly string[];
  /**
   * Ids or names of the containers whose network, processes or shared memory it is in. When one of them is started anew,
   * it has lost that until it is started anew itself.
   */
  readonly joins?: readonly string[] | undefined;
  /** Ids or names of the containers whose mounts it has as well. */
  readonly volumesFrom?: readonly string[] | undefined;
  /** How long it has to end by itself when it is stopped; Infinity for as long as it takes. */
  readonly stopTimeoutMs?: number | undefined;
  readonly labels: Readonly<Record<string, string>>;
  /**
   * Labels that its image brings along, said by the image's author and not by the people who run it; undefined when they
   * cannot be told apart.
   */
  readonly imageLabels: Readonly<Record<string, string>> | undefined;
  readonly environment: Readonly<Record<string, string>>;
  readonly command: readonly string[];
  /** What starts the command, when it is not the command itself. */
  readonly entrypoint?: readonly string[];
  readonly user: string;
  readonly mounts: readonly ContainerMount[];
  /** Process id of its first process on the engine's machine; undefined when it does not run. */
  readonly pid: number | undefined;
  /** RFC 3339. */
  readonly startedAt: string | undefined;
  /** When it ended last, by the engine's clock, RFC 3339. */
  readonly finishedAt?: string | undefined;
}

export interface ContainerMount {
  readonly type: 'volume' | 'bind' | 'tmpfs' | 'other';
  /** Volume name or host path; undefined for tmpfs. */
  readonly source: string | undefined;
  readonly destination: string;
  readonly readOnly: boolean;
}

export interface ExecRequest {
  readonly command: readonly string[];
  readonly user?: string | undefined;
  readonly workingDir?: string | undefined;
  /** Secrets go here or through `stdin`, never into `command`: that can be seen by everybody on the machine. */
  readonly environment?: Readonly<Record<string, string>> | undefined;
  readonly stdin?: AsyncIterable<Uint8Array> | undefined;
}

/** A command that runs in a container. */
export interface ExecRun {
  /** Ends when the command has closed it. Has to be read, or the command waits. */
  readonly stdout: AsyncIterable<Uint8Array>;
  /** Settles when the command has ended. `stderr` holds at most its last 64 KiB. */
  readonly ended: Promise<{ readonly exitCode: number; readonly stderr: string }>;
}

/** A trial and all that belongs to it carry this label: its container, its network, its volumes. */
export const trialLabel = 'holdfast.trial';

/** Of the names of all that trials make. */
export const trialPrefix = 'holdfast-trial-';

export interface TrialFile {
  readonly entry: Entry;
  readonly content: Uint8Array;
}

/** A container that is made for a drill: it can reach nothing and nothing can reach it. */
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
  /** Put into it before it is started; paths are those in the container without the first slash. */
  readonly files?: readonly TrialFile[] | undefined;
  readonly labels: Readonly<Record<string, string>>;
  /** Trials of one stack see each other on an internal network of this name, each by its service's name. */
  readonly network?: { readonly name: string; readonly alias: string } | undefined;
}

/**
 * The containers of a host. Every call may be repeated: to stop what is stopped, start what runs, pause what is paused
 * is no error. `not-found` when there is no such container.
 */
export interface Containers {
  /** All of them, running or not, with everything that a `Container` has. */
  list(options?: CallOptions): Promise<Container[]>;
  /** By id or name. */
  find(idOrName: string, options?: CallOptions): Promise<Container | undefined>;
  /**
   * Ends the first process by the container's own signal, and by force after the time-out: its own unless another is given.
   * Returns when the container has stopped.
   */
  stop(id: string, options: CallOptions & { readonly timeoutMs?: number }): Promise<void>;
  start(id: string, options?: CallOptions): Promise<void>;
  pause(id: string, options?: CallOptions): Promise<void>;
  /** False when it was not paused. */
  unpause(id: string, options?: CallOptions): Promise<boolean>;
  /**
   * True when the engine remembers all since a time, in milliseconds since 1970, and that it was asked to end the container
   * since, by a stop or by a signal. An engine forgets with time, and when it is started anew: then it is false.
   */
  wasAskedToEnd(id: string, sinceMs: number, options?: CallOptions): Promise<boolean>;
  /** How far the engine's clock is ahead of this machine's. */
  clockAheadMs(options?: CallOptions): Promise<number>;
  /** Runs a command in a running container, without a terminal and without a shell. Cancelling ends it. */
  exec(id: string, request: ExecRequest, options?: CallOptions): Promise<ExecRun>;
  /** The number of tasks that a Swarm service wants; undefined for a global one. */
  serviceReplicas(service: string, options?: CallOptions): Promise<number | undefined>;
  /** How many tasks of a Swarm service run now. */
  runningTasks(service: string, options?: CallOptions): Promise<number>;
  /** True when one of its tasks on this machine was ended by force since, as far as the engine remembers. */
  wereTasksKilled(service: string, sinceMs: number, options?: CallOptions): Promise<boolean>;
  /** Sets it, and returns when the tasks that run are so many, or `atLeast` so many where others cannot run. */
  scaleService(
    service: string,
    replicas: number,
    options?: CallOptions & { readonly atLeast?: number | undefined },
  ): Promise<void>;
  /** Makes and starts a container for a drill. */
  startTrial(request: TrialRequest, options?: CallOptions): Promise<Container>;
  /** Removes by force what carries `trialLabel` with this value: containers with their anonymous volumes, and networks. */
  removeTrial(trial: string, options?: CallOptions): Promise<void>;
  /** The end of what it printed, for people. */
  logs(id: string, options?: CallOptions & { readonly lines?: number }): Promise<string>;
  /** Removes a container by force, its anonymous volumes too, and a trial's network when it was the last in it. */
  remove(id: string, options?: CallOptions): Promise<void>;
}
