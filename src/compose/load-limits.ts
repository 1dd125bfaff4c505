import { AppError } from '../model/errors.ts';
import { quote } from '../model/quote.ts';

/** The YAML of a megabyte takes seconds. */
export const mostFileBytes = 1 << 20;

/** What one project may cost: far more than any that a person writes, and far less than what hurts. */
const most = {
  files: 500,
  bytes: 16 << 20,
  values: 300_000,
  characters: 16 << 20,
};

/** Counts what a load has used; each throws `usage` when it is too much, and `cancelled` by the signal. */
export interface LoadLimits {
  file(path: string, sizeBytes: number): void;
  /** One value made: aliases and variables can make a small file huge. */
  value(): void;
  characters(count: number): void;
}

export function newLoadLimits(signal: AbortSignal | undefined): LoadLimits {
  const used = { files: 0, bytes: 0, values: 0, characters: 0 };
  return {
    file(path, sizeBytes) {
      if (signal?.aborted === true)
        throw new AppError('cancelled', 'Reading the Compose files was cancelled');
      if (sizeBytes > mostFileBytes)
        throw new AppError(
          'usage',
          `Cannot read ${quote(path)}: it is larger than ${mostFileBytes >> 20} MiB`,
        );
      used.bytes += sizeBytes;
      used.files += 1;
      if (used.files > most.files) throw tooMuch(`more than ${most.files} files`);
      if (used.bytes > most.bytes) throw tooMuch(`more than ${most.bytes >> 20} MiB`);
    },
    value() {
      used.values += 1;
      if (used.values > most.values) throw tooMuch(`more than ${most.values} values`);
    },
    characters(count) {
      used.characters += count;
      if (used.characters > most.characters) throw tooMuch(`more than ${most.characters >> 20} MiB of text`);
    },
  };
}

function tooMuch(what: string): AppError {
  return new AppError('usage', `Cannot load the Compose project: its files come to ${what}`, {
    hint: 'Aliases ("*name"), "extends", "include" and variables multiply what they name.',
  });
}
