import type { ByteString } from '../model/byte-string.ts';
import type { CallOptions, Containers } from './containers.ts';
import type { ClaimHolder, ClaimOptions } from '../lib/machine-claim.ts';
import type { DataMount, HostKind, Volume, VolumeSpec } from '../model/volume.ts';

export interface HostInfo {
  readonly kind: HostKind;
  /** Stable over restarts and over renames of the machine (Docker's engine id, an id file of the state folder). */
  readonly identity: string;
  /** What people call it: the machine's name. */
  readonly name: string;
  readonly version: string;
  /** How it is reached, for messages: `unix:///var/run/docker.sock`, a state folder. */
  readonly endpoint: string;
  /** Where an engine keeps all that is its own, on its machine; undefined where it does not say. */
  readonly dataRoot?: string | undefined;
  /** True for an engine that is reached over a network: paths that it names are not of this machine. */
  readonly isRemote?: boolean | undefined;
}

/** The host is opened when it is first asked for: work on directories alone needs none. */
export interface HostAccess {
  readonly host: () => Promise<Host>;
}

/**
 * Where containers run. `docker/` is one; `volumes/managed` has the other, for machines without an engine.
 *
 * Every call may be repeated. A call that is cancelled by its signal leaves nothing half made.
 * A host that cannot be reached throws `unavailable`, one that refuses throws `denied`.
 */
export interface Host extends AsyncDisposable {
  readonly kind: HostKind;

  /** Undefined where no containers run. */
  readonly containers: Containers | undefined;

  info(options?: CallOptions): Promise<HostInfo>;

  /** All volumes with their consumers, sorted by name. */
  listVolumes(options?: CallOptions): Promise<Volume[]>;

  /** One volume with its consumers, or undefined. Never creates it. */
  findVolume(name: string, options?: CallOptions): Promise<Volume | undefined>;

  /** Creates a volume. A name that exists is returned as it is when driver, options and labels agree, else `conflict` says how it differs. */
  createVolume(spec: VolumeSpec, options?: CallOptions): Promise<Volume>;

  /** Permanent. `in-use` when a consumer refers to it, running or stopped; `not-found` when there is none. */
  removeVolume(name: string, options?: CallOptions): Promise<void>;

  /** Every mount of every container: volumes, bind mounts and tmpfs. The whole map of where data lives. */
  listMounts(options?: CallOptions): Promise<DataMount[]>;

  /**
   * Holds something of this host (`volume pg`) for this process, against all programs of this machine, whatever state
   * folder they work from; or says who has it. Never waits; ends with the process. Absent where nothing of the host is to
   * be had from another state folder.
   */
  claim?(
    what: string,
    options?: CallOptions & ClaimOptions,
  ): Promise<AsyncDisposable | { readonly heldBy: ClaimHolder }>;

  /** Gives access to a volume's data until it is disposed. `not-found` when the volume does not exist. */
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
 * The streamed way, as tar streams through the engine's archive endpoints. What an engine's stream cannot carry is
 * listed in `limits`, in words for people (`times are whole seconds`), and ends up in the snapshot's record.
 */
export interface StreamData extends AsyncDisposable {
  readonly way: 'stream';
  readonly limits: readonly string[];
  /** A tar stream of `path` below the volume's root; names in it are relative to the volume's root. The root itself ('') is './'. */
  readTar(path: ByteString, options?: CallOptions): Promise<AsyncIterable<Uint8Array>>;
  /**
   * The exact times of paths, in nanoseconds, where the tar stream has whole seconds; undefined for what is not there.
   * A request for each path: dear for many. Undefined where the stream's times are exact already.
   */
  readTimes?(paths: readonly ByteString[], options?: CallOptions): Promise<(bigint | undefined)[]>;
  /** Unpacks a tar stream below `path`; what is there and not in the stream stays. Returns when the engine has taken all of it. */
  writeTar(path: ByteString, tar: AsyncIterable<Uint8Array>, options?: CallOptions): Promise<void>;
}

export type { CallOptions };
