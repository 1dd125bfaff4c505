import { AppError } from '../../model/errors.ts';
import { quote } from '../../model/quote.ts';

/** `key=value` texts as a record. A label without a value has an empty one, as in docker. */
export function parsePairs(
  texts: readonly string[] | undefined,
  what: 'label' | 'name' | 'option',
): Record<string, string> {
  const pairs: Record<string, string> = Object.create(null) as Record<string, string>;
  for (const text of texts ?? []) {
    const equals = text.indexOf('=');
    if (equals === 0 || (equals < 0 && what !== 'label')) {
      throw new AppError('usage', `Cannot read the ${what} ${quote(text)}`, {
        hint: `Write it as KEY=VALUE.`,
      });
    }
    if (equals < 0) pairs[text] = '';
    else pairs[text.slice(0, equals)] = text.slice(equals + 1);
  }
  return { ...pairs };
}
