/** `1 table`, `2,000 rows`. */
export function amount(count: number, singular: string, plural = `${singular}s`): string {
  return `${grouped(count)} ${count === 1 ? singular : plural}`;
}

/** `2,000`, of a whole number. Not by `toLocaleString()`, whose first call loads the languages: ten milliseconds. */
export function grouped(count: number): string {
  return String(count).replaceAll(/\B(?=(?:\d{3})+$)/g, ',');
}
