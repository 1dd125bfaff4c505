import type { PaceState } from './pace.ts';

/** Where a repository lies, as parsed from its location: without secrets. */
export type StoreLocation = LocalLocation | S3Location | SftpLocation | RestLocation | RcloneLocation;

interface Located {
  /** The canonical form, for messages and the catalog. Never holds a secret. */
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
  /** Without leading or trailing slash; '' for the whole bucket. */
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

/** How to use a store of any kind. */
export interface StoreTuning {
  /** Concurrent requests; each thread may make at least one. */
  readonly connections?: number | undefined;
  readonly upload?: PaceState | undefined;
  readonly download?: PaceState | undefined;
  readonly retry?: RetryTuning | undefined;
  readonly cache?: CacheTuning | undefined;
  /** Size of the cache of this store, if there is one. */
  readonly cacheBytes?: number | undefined;
  /** A response is abandoned and requested again after this long without a byte. */
  readonly stallMs?: number | undefined;
}

export interface RetryTuning {
  /** How long a call is retried in total. */
  readonly deadlineMs: number;
  /** The same before the store's first response: a wrong name or a server that is off is reported soon. */
  readonly firstDeadlineMs: number;
}

export interface CacheTuning {
  /** A folder for this repository only. */
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
  /** Client certificate and key in PEM. */
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
 * How to open a store, as plain data for worker threads. It holds resolved secrets: never print, log or store
 * it.
 */
export type StoreAddress = LocalAddress | S3Address | SftpAddress | RestAddress | RcloneAddress;
