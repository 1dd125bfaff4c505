import type { PaceState } from './pace.ts';

/** Where a repository lies, as its location says it: without secrets. */
export type StoreLocation = LocalLocation | S3Location | SftpLocation | RestLocation | RcloneLocation;

interface Located {
  /** The one way of writing it, for messages and the catalog. Never holds a secret. */
  readonly text: string;
}

export interface LocalLocation extends Located {
  readonly kind: 'local';
  /** Absolute. */
  readonly directory: string;
}

export interface S3Location extends Located {
  readonly kind: 's3';
  /** `https://host:port`; undefined for Amazon's own, which depends on the region. */
  readonly endpoint: string | undefined;
  readonly bucket: string;
  /** Without a slash at either end; '' for the whole bucket. */
  readonly prefix: string;
}

export interface SftpLocation extends Located {
  readonly kind: 'sftp';
  readonly user: string | undefined;
  readonly host: string;
  readonly port: number | undefined;
  /** Relative to the home directory unless it begins with a slash. */
  readonly path: string;
}

export interface RestLocation extends Located {
  readonly kind: 'rest';
  /** Ends with a slash; without a user. */
  readonly url: string;
  readonly user: string | undefined;
}

export interface RcloneLocation extends Located {
  readonly kind: 'rclone';
  /** `remote:path`, as rclone takes it. */
  readonly remote: string;
}

/** How a store is used, whatever its kind. */
export interface StoreTuning {
  /** Requests at once; a thread has at least one. */
  readonly connections?: number | undefined;
  readonly upload?: PaceState | undefined;
  readonly download?: PaceState | undefined;
  readonly retry?: RetryTuning | undefined;
  readonly cache?: CacheTuning | undefined;
  /** Room that a cache of this store may have, where there is to be one. */
  readonly cacheBytes?: number | undefined;
  /** After this long without a byte, an answer is given up and asked for again. */
  readonly stallMs?: number | undefined;
}

export interface RetryTuning {
  /** How long a call is tried again in all. */
  readonly deadlineMs: number;
  /** The same while the store has not answered once: a wrong name or a server that is off is told soon. */
  readonly firstDeadlineMs: number;
}

export interface CacheTuning {
  /** A folder for this one repository. */
  readonly directory: string;
  readonly maxBytes: number;
}

export interface S3Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken: string | undefined;
}

export interface ObjectLock {
  readonly mode: 'GOVERNANCE' | 'COMPLIANCE';
  readonly days: number;
}

export interface S3Settings {
  readonly region: string;
  readonly pathStyle: 'auto' | 'always' | 'never';
  readonly credentials: S3Credentials;
  readonly storageClass: string | undefined;
  readonly objectLock: ObjectLock | undefined;
  /** Larger objects are sent in parts of this size. */
  readonly partBytes: number;
}

export interface TlsSettings {
  /** Certificates in PEM that are trusted instead of the usual ones. */
  readonly ca: string | undefined;
  /** Certificate and key in PEM that show who we are. */
  readonly clientCertificate: string | undefined;
}

export interface ProxySettings {
  readonly [variable: string]: string | undefined;
}

interface Networked {
  readonly tls: TlsSettings;
  /** HTTP_PROXY, HTTPS_PROXY and NO_PROXY, as far as they are set. */
  readonly proxy: ProxySettings | undefined;
}

export type LocalAddress = { readonly kind: 'local'; readonly directory: string } & StoreTuning;
export type S3Address = S3Location & S3Settings & Networked & StoreTuning;
export type SftpAddress = SftpLocation & {
  readonly configFile: string | undefined;
  readonly identityFile: string | undefined;
} & StoreTuning;
export type RestAddress = RestLocation & { readonly password: string | undefined } & Networked & StoreTuning;
export type RcloneAddress = RcloneLocation & {
  readonly program: string;
  readonly configFile: string | undefined;
} & StoreTuning;

/**
 * How to open a store, as plain data that goes to worker threads. It holds secrets that references led to: it is
 * never printed, logged or stored.
 */
export type StoreAddress = LocalAddress | S3Address | SftpAddress | RestAddress | RcloneAddress;
