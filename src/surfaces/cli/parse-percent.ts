import { printableField } from '../../model/quote.ts';
import { AppError } from '../../model/errors.ts';

/** `--read-data` alone is 100; `--read-data=10` or `10%` a part; 0 when it is not given. */
export function parsePercent(text: string | undefined): number {
  if (text === undefined) return 0;
  if (text === '') return 100;
  const percent = /^\d+(\.\d+)?%?$/.test(text) ? Number.parseFloat(text) : Number.NaN;
  if (percent > 0 && percent <= 100) return percent;
  throw new AppError('usage', `Cannot read the share "${printableField(text)}"`, {
    hint: 'Write --read-data=10 for ten percent, --read-data for everything.',
  });
}
