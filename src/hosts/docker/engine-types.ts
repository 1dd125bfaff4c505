/** The parts of Docker Engine's JSON that we read. Everything may be missing or null: other engines answer here too. */

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
  readonly OSType?: string | null;
}
