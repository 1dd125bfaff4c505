import type { VolumeData } from '../hosts/host.ts';
import { AppError } from '../model/errors.ts';
import type { VolumeProblem, VolumeProgress, VolumeWorkOptions, WorkReport } from './host-volumes.ts';

/** A broken disk or another user's volume gives a problem for each file, so their number is limited. */
const maxProblems = 1000;
const maxNotes = 50;

/** Collects what work on data reports. */
export class WorkLog {
  readonly #options: VolumeWorkOptions;
  readonly #problems: VolumeProblem[] = [];
  readonly #notes: string[] = [];
  readonly #limits = new Set<string>();
  #more = 0;
  #bytes = 0;
  #files = 0;
  #way: WorkReport['way'] = 'direct';

  constructor(options: VolumeWorkOptions) {
    this.#options = options;
  }

  get signal(): AbortSignal | undefined {
    return this.#options.signal;
  }

  readonly onProblem = (problem: VolumeProblem): void => {
    if (this.#problems.length < maxProblems) this.#problems.push(problem);
    else this.#more++;
  };

  readonly onProgress = ({ bytes, files }: VolumeProgress): void => {
    this.#bytes = bytes;
    this.#files = files;
    this.#options.onProgress?.({ bytes, files });
  };

  countBytes(bytes: number): void {
    this.onProgress({ bytes: this.#bytes + bytes, files: this.#files });
  }

  countFile(): void {
    this.onProgress({ bytes: this.#bytes, files: this.#files + 1 });
  }

  note(sentence: string): void {
    if (this.#notes.length < maxNotes) this.#notes.push(sentence);
  }

  /** Notes how the data is reached; one streamed end makes all of it streamed. */
  uses(data: VolumeData): void {
    if (data.way === 'direct') return;
    this.#way = 'stream';
    for (const limit of data.limits) this.#limits.add(limit);
  }

  check(action: string): void {
    if (this.signal?.aborted === true) throw new AppError('cancelled', `Cannot ${action}: cancelled`);
  }

  report(): WorkReport {
    const problems = [...this.#problems];
    if (this.#more > 0) {
      problems.push({
        path: '…',
        reason: 'unsupported',
        message: `${this.#more} more things were not carried as they are`,
      });
    }
    return {
      bytes: this.#bytes,
      files: this.#files,
      problems,
      way: this.#way,
      limits: [...this.#limits],
      notes: [...this.#notes],
    };
  }
}
