import { quote } from '../model/quote.ts';

/** `"web", "db", "cache" and 2 more`. */
export function nameApps(names: readonly string[]): string {
  const shown = names.slice(0, 3).map(quote).join(', ');
  return names.length > 3 ? `${shown} and ${names.length - 3} more` : shown;
}
