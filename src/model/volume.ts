export type HostKind = 'docker' | 'podman' | 'embedded';

/** A named place that holds data, as its host reports it. */
export interface Volume {
  readonly name: string;
  readonly driver: string;
  /** Where the host says the data is; undefined when it does not say. */
  readonly mountpoint: string | undefined;
  /** RFC 3339, or undefined when unknown. */
  readonly createdAt: string | undefined;
  readonly labels: Readonly<Record<string, string>>;
  readonly options: Readonly<Record<string, string>>;
  readonly scope: 'local' | 'global';
  /** Created without a name by a container. */
  readonly anonymous: boolean;
  /** The Compose project that it belongs to. */
  readonly stack: string | undefined;
  readonly consumers: readonly Consumer[];
}

export type ConsumerState = 'created' | 'running' | 'paused' | 'restarting' | 'removing' | 'exited' | 'dead';

/** A container that mounts a volume, running or stopped. */
export interface Consumer {
  readonly id: string;
  readonly name: string;
  readonly image: string;
  readonly state: ConsumerState;
  readonly stack: string | undefined;
  readonly service: string | undefined;
  /** Where the volume is mounted inside the container. */
  readonly path: string;
  readonly readOnly: boolean;
}

/** The arguments of `create`. */
export interface VolumeSpec {
  /** Undefined creates an anonymous volume, as in Docker. */
  readonly name: string | undefined;
  readonly driver: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly options: Readonly<Record<string, string>>;
}

/** A place where a container keeps data. */
export interface DataMount {
  readonly type: 'volume' | 'bind' | 'tmpfs' | 'other';
  /** Volume name, or the host path of a bind mount; undefined for tmpfs. */
  readonly source: string | undefined;
  readonly destination: string;
  readonly readOnly: boolean;
  readonly driver: string | undefined;
  readonly consumer: Consumer;
}

/** True for a consumer that may be writing. */
export function isActive(consumer: Consumer): boolean {
  return consumer.state === 'running' || consumer.state === 'paused' || consumer.state === 'restarting';
}

/** True where the driver of a volume says nothing of it: one that answers says more than a name. */
export function isKnownByContainersAlone(volume: Volume): boolean {
  const { driver, mountpoint, createdAt, labels, options } = volume;
  const said = [mountpoint, createdAt, ...Object.keys(labels), ...Object.keys(options)];
  return driver !== 'local' && said.every((one) => one === undefined);
}
