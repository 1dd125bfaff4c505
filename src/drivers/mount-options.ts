import { AppError } from '../model/errors.ts';
import { quote } from '../model/quote.ts';

export type Options = Readonly<Record<string, string>>;

/** The words of `o=`, in mount(8)'s syntax: `size=100m`, `ro`. Empty ones are left out. */
export function mountWords(options: Options): string[] {
  return (options['o'] ?? '').split(',').filter((word) => word !== '');
}

/** The last value of `name` in `o=`; undefined when absent. */
export function mountWord(options: Options, name: string): string | undefined {
  return mountWords(options)
    .findLast((word) => word.startsWith(`${name}=`))
    ?.slice(name.length + 1);
}

export interface KnownOptions {
  readonly kind: string;
  readonly known: readonly string[];
  readonly required?: readonly string[];
}

/** Throws `usage` for an option that the driver does not accept, or a required one that is missing. */
export function checkOptions(options: Options, { kind, known, required = [] }: KnownOptions): void {
  for (const key of Object.keys(options)) {
    if (key === 'type' || known.includes(key)) continue;
    throw new AppError('usage', `invalid option: ${quote(key)}`, {
      hint:
        known.length === 0
          ? `The driver ${quote(kind)} takes no options.`
          : `The driver ${quote(kind)} takes ${known.map(quote).join(', ')}.`,
    });
  }
  for (const key of required) {
    if ((options[key] ?? '') !== '') continue;
    throw new AppError('usage', `missing required option: ${quote(key)}`, {
      hint: `Say it with "-o ${key}=…"; the driver ${quote(kind)} needs it.`,
    });
  }
}

/** True for `true`, `1`, `yes` and a bare option; false for their opposites and when absent. */
export function flagOption(options: Options, name: string): boolean {
  const value = options[name];
  if (value === undefined || ['false', '0', 'no'].includes(value)) return false;
  if (['', 'true', '1', 'yes'].includes(value)) return true;
  throw new AppError(
    'usage',
    `invalid value for option ${quote(name)}: ${quote(value)} is neither true nor false`,
  );
}
