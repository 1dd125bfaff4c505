import type { Progress } from '../repository/index.ts';

/** The options that every job takes. */
export interface JobOptions {
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: Progress) => void) | undefined;
  /** Remarks for people, as they arise. */
  readonly onNote?: ((message: string) => void) | undefined;
}
