/** One of the passwords' files that unlock a repository. All of them open the same data. */
export interface RepositoryKey {
  /** 64 hex digits. */
  readonly id: string;
  /** The one that opened the repository. */
  readonly isCurrent: boolean;
  /** A damaged one opens nothing; what else is said of it is empty. */
  readonly isDamaged: boolean;
  /** Who added it, where and when (RFC 3339), as its file says; for people only. */
  readonly username: string;
  readonly hostname: string;
  readonly created: string;
}

export interface RemoveKeyOptions {
  readonly signal?: AbortSignal | undefined;
  /** A password of another key, which takes the place of the one in use. It is proven to open before anything is removed. */
  readonly instead?: Uint8Array | undefined;
}
