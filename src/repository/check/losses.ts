/** What a check has found to be lost. */
export interface Losses {
  /** Ids of packs that are missing, cut short, or of which nothing can be trusted. */
  readonly packs: Set<string>;
  /** Ids of single blobs that are damaged. */
  readonly blobs: Set<string>;
}
