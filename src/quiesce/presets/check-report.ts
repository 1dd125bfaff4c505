import { AppError, errorMessage, isAppError } from '../../model/errors.ts';
import type { PresetCheck } from './preset.ts';

/** Collects what a check finds. */
export class CheckReport {
  readonly #facts: string[] = [];
  readonly #problems: string[] = [];
  readonly #counts: Record<string, number> = {};
  readonly #readyAfterMs: number;

  constructor(readyAfterMs: number) {
    this.#readyAfterMs = readyAfterMs;
  }

  /** `3 tables`. */
  fact(text: string): void {
    this.#facts.push(text);
  }

  count(key: string, value: number): void {
    this.#counts[key] = value;
  }

  problem(error: unknown): void {
    this.#problems.push(describe(error));
  }

  done(): PresetCheck {
    return {
      isHealthy: this.#problems.length === 0,
      readyAfterMs: this.#readyAfterMs,
      facts: this.#facts,
      counts: this.#counts,
      problems: this.#problems,
    };
  }
}

/** The report on a server that never answered. Without a client its health is unknown. */
export function neverReady(error: unknown): PresetCheck {
  return {
    isHealthy: isAppError(error, 'unsupported') ? undefined : false,
    readyAfterMs: undefined,
    facts: [],
    counts: {},
    problems: [describe(error)],
  };
}

function describe(error: unknown): string {
  if (error instanceof AppError) return error.detail ? `${error.message}: ${error.detail}` : error.message;
  return errorMessage(error);
}
