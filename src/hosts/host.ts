import type { ByteString } from '../model/byte-string.ts';
import type { CallOptions, Containers } from './containers.ts';
import type { ClaimHolder, ClaimOptions } from '../lib/machine-claim.ts';
import type { DataMount, HostKind, Volume, VolumeSpec } from '../model/volume.ts';

export interface HostInfo {
  readonly kind: HostKind;
  /**
   * Stable across restarts and renames of the machine (Docker's engine id, an id file of the state folder).
   */
  readonly identity: string;
  /** The machine's name. */
  readonly name: string;
  readonly version: string;
  /** The endpoint, for messages: `unix:///var/run/docker.sock`, a state folder. */
  readonly endpoint: string;
  /** The engine's own data folder, on its machine; undefined where unknown. */
  readonly dataRoot?: string | undefined;
  /** True for an engine over a network: its paths are not of this machine. */
  readonly isRemote?: boolean | undefined;
  /** True for an engine that runs without root, as the owner of its data folder. */
  readonly isRootless?: boolean | undefined;
  /** True for an engine whose containers' users have other numbers on the machine, by `userns-remap`. */
  readonly isRemapped?: boolean | undefined;
}

export interface HostProgram {
  readonly module: URL;
  readonly args: readonly string[];
}

/** Opens the host on first use: work on directories alone needs none. */
export interface HostAccess {
  readonly host: () => Promise<Host>;
}

/** A host, and the state folder in which work on it is written down. */
export interface HostScope extends HostAccess {
  readonly stateDir: string;
}

/**
 * Where containers run. `docker/` is one; `volumes/managed` has the other, for machines without an engine.
 *
 * Every call may be repeated. A cancelled call leaves nothing half made. A host that cannot be reached throws
 * `unavailable`, one that refuses throws `denied`.
 */
export interface Host extends AsyncDisposable {
  readonly kind: HostKind;

  /**
   * A program that reaches the same containers when this process has been killed, and puts them back by a journal: a
   * module and its first arguments; a state folder and the journal's name follow. Absent where only this process reaches
   * them, as over ssh or TLS.
   */
  readonly putBackProgram?: HostProgram | undefined;

  /** Undefined where no containers run. */
  readonly containers: Containers | undefined;

  info(options?: CallOptions): Promise<HostInfo>;

  /** All volumes with their consumers, sorted by name. */
  listVolumes(options?: CallOptions): Promise<Volume[]>;

  /** One volume with its consumers, or undefined. Never creates it. */
  findVolume(name: string, options?: CallOptions): Promise<Volume | undefined>;

  /**
   * Creates a volume. An existing one is returned unchanged when driver, options and labels agree; otherwise
   * `conflict` says how it differs.
   */
  createVolume(spec: VolumeSpec, options?: CallOptions): Promise<Volume>;

  /**
   * Permanent. `in-use` when a consumer refers to it, running or stopped; `not-found` when it does not exist.
   */
  removeVolume(name: string, options?: CallOptions): Promise<void>;

  /** Every mount of every container: volumes, bind mounts and tmpfs. */
  listMounts(options?: CallOptions): Promise<DataMount[]>;

  /**
   * Claims something of this host (`volume pg`) for this process, against all programs of this machine with
   * any state folder; or returns the holder. Never waits; ends with the process. Absent where no other state
   * folder can reach the host.
   */
  claim?(
    what: string,
    options?: CallOptions & ClaimOptions,
  ): Promise<AsyncDisposable | { readonly heldBy: ClaimHolder }>;

  /** Gives access to a volume's data until disposed. `not-found` when the volume does not exist. */
  openData(name: string, options?: CallOptions & { readonly write?: boolean }): Promise<VolumeData>;
}

/** A volume's data: a directory that this process can use directly, or streams through the engine. */
export type VolumeData = DirectoryData | StreamData;

export interface DirectoryData extends AsyncDisposable {
  readonly way: 'direct';
  /** Absolute path of the volume's root on this machine. */
  readonly root: ByteString;
}

/** The limit of a stream that `readTimes` lifts. */
export const wholeSeconds = 'times are whole seconds';

/**
 * The streamed way: tar streams through the engine's archive endpoints. `limits` lists what these cannot
 * carry, in words (`times are whole seconds`), for the snapshot's record.
 */
export interface StreamData extends AsyncDisposable {
  readonly way: 'stream';
  readonly limits: readonly string[];
  /**
   * A tar stream of `path` below the volume's root; its names are relative to the volume's root. The root
   * itself ('') is './'.
   */
  readTar(path: ByteString, options?: CallOptions): Promise<AsyncIterable<Uint8Array>>;
  /**
   * The exact times of paths, in nanoseconds, where the tar stream has whole seconds; undefined for missing
   * ones. One request for each path, so expensive for many. Undefined where the stream's times are already
   * exact.
   */
  readTimes?(paths: readonly ByteString[], options?: CallOptions): Promise<(bigint | undefined)[]>;
  /**
   * Unpacks a tar stream below `path`; other existing entries stay. Returns when the engine has received all
   * of it.
   */
  writeTar(path: ByteString, tar: AsyncIterable<Uint8Array>, options?: CallOptions): Promise<void>;
}

export type { CallOptions };
