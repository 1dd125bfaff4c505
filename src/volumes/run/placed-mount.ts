/** A mount that is ready: where its data is on this machine, and where it is to be seen. */
export type PlacedMount = PlacedData | PlacedTmpfs;

export interface PlacedData {
  readonly kind: 'data';
  /** An absolute path without `..`. */
  readonly target: string;
  readonly readOnly: boolean;
  /** A path, or a descriptor of this process for what was looked up step by step. */
  readonly source: { readonly path: string } | { readonly fd: number };
  readonly isFile: boolean;
}

export interface PlacedTmpfs {
  readonly kind: 'tmpfs';
  readonly target: string;
  readonly readOnly: boolean;
  readonly sizeBytes: number | undefined;
  readonly mode: number;
}
