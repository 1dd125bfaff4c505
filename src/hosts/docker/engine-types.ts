/**
 * The parts of Docker Engine's JSON that we read. Every field may be missing or null: other engines respond
 * here too.
 */

export interface EngineVolume {
  readonly Name: string;
  readonly Driver?: string | null;
  readonly Mountpoint?: string | null;
  readonly CreatedAt?: string | null;
  readonly Labels?: Readonly<Record<string, string>> | null;
  readonly Options?: Readonly<Record<string, string>> | null;
  readonly Scope?: string | null;
  readonly ClusterVolume?: unknown;
}

export interface EngineVolumeList {
  readonly Volumes?: readonly EngineVolume[] | null;
  readonly Warnings?: readonly string[] | null;
}

export interface EngineMount {
  readonly Type?: string | null;
  readonly Name?: string | null;
  readonly Source?: string | null;
  readonly Destination?: string | null;
  readonly Driver?: string | null;
  readonly RW?: boolean | null;
  readonly Propagation?: string | null;
}

export interface EngineAskedMount {
  readonly Type?: string | null;
  readonly Target?: string | null;
  readonly TmpfsOptions?: {
    readonly SizeBytes?: number | null;
    readonly Options?: readonly (readonly string[])[] | null;
  } | null;
  readonly VolumeOptions?: { readonly Subpath?: string | null } | null;
}

export interface EngineContainer {
  readonly Id: string;
  readonly Names?: readonly string[] | null;
  readonly Image?: string | null;
  readonly State?: string | null;
  readonly Labels?: Readonly<Record<string, string>> | null;
  readonly Mounts?: readonly EngineMount[] | null;
}

export interface EngineContainerDetails {
  readonly HostConfig?: { readonly Tmpfs?: Readonly<Record<string, string>> | null } | null;
}

export interface EngineInfo {
  readonly ID?: string | null;
  readonly Name?: string | null;
  readonly ServerVersion?: string | null;
  readonly DockerRootDir?: string | null;
  /** `name=seccomp,profile=builtin`, `name=rootless`, `name=userns` for `userns-remap`. */
  readonly SecurityOptions?: readonly string[] | null;
  readonly OSType?: string | null;
  /** RFC 3339. */
  readonly SystemTime?: string | null;
}

/** The response to `GET /containers/ID/json`. */
export interface EngineInspection extends EngineContainerDetails {
  readonly Id: string;
  readonly Name?: string | null;
  /** The image's content id. */
  readonly Image?: string | null;
  readonly State?: EngineContainerState | null;
  readonly Config?: {
    readonly Image?: string | null;
    readonly Env?: readonly string[] | null;
    readonly Cmd?: readonly string[] | null;
    readonly Entrypoint?: readonly string[] | null;
    readonly User?: string | null;
    readonly Labels?: Readonly<Record<string, string>> | null;
    readonly Tty?: boolean | null;
    readonly Healthcheck?: EngineHealthcheck | null;
    /** In seconds; negative for no limit. */
    readonly StopTimeout?: number | null;
  } | null;
  readonly HostConfig?: {
    readonly Tmpfs?: Readonly<Record<string, string>> | null;
    readonly Privileged?: boolean | null;
    readonly ReadonlyRootfs?: boolean | null;
    readonly CapDrop?: readonly string[] | null;
    readonly CapAdd?: readonly string[] | null;
    readonly SecurityOpt?: readonly string[] | null;
    /** The mounts of `--mount` as they were asked for. */
    readonly Mounts?: readonly EngineAskedMount[] | null;
    readonly RestartPolicy?: { readonly Name?: string | null } | null;
    readonly AutoRemove?: boolean | null;
    /** `container:ID` joins that container, as in the two below. */
    readonly NetworkMode?: string | null;
    readonly PidMode?: string | null;
    readonly IpcMode?: string | null;
    /** `NAME:ro` */
    readonly VolumesFrom?: readonly string[] | null;
  } | null;
  readonly Mounts?: readonly EngineMount[] | null;
  readonly NetworkSettings?: {
    readonly Networks?: Readonly<Record<string, unknown>> | null;
  } | null;
}

export interface EngineHealthcheck {
  readonly Test?: readonly string[] | null;
  readonly Retries?: number | null;
  /** In nanoseconds. */
  readonly Interval?: number | null;
  readonly StartInterval?: number | null;
}

export interface EngineContainerState {
  readonly Status?: string | null;
  readonly Pid?: number | null;
  readonly ExitCode?: number | null;
  readonly StartedAt?: string | null;
  readonly FinishedAt?: string | null;
  readonly Health?: {
    readonly Status?: string | null;
    readonly FailingStreak?: number | null;
    /** Oldest first. */
    readonly Log?: readonly { readonly End?: string | null }[] | null;
  } | null;
}

export interface EngineExec {
  readonly Running?: boolean | null;
  readonly ExitCode?: number | null;
}

export interface EngineService {
  readonly ID: string;
  readonly Version: { readonly Index: number };
  readonly Spec: {
    readonly Mode?: { readonly Replicated?: { readonly Replicas?: number | null } | null } | null;
    readonly TaskTemplate?: {
      readonly ContainerSpec?: { readonly StopGracePeriod?: number | null } | null;
    } | null;
  };
}

export interface EngineTask {
  readonly DesiredState?: string | null;
  readonly Status?: { readonly State?: string | null; readonly Err?: string | null } | null;
}

export interface EngineEvent {
  /** In seconds since 1970, and in nanoseconds. */
  readonly time?: number | null;
  readonly timeNano?: number | null;
  readonly Action?: string | null;
  readonly Actor?: {
    readonly ID?: string | null;
    readonly Attributes?: Readonly<Record<string, string>> | null;
  } | null;
}
