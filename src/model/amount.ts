/** `1 table`, `2,000 rows`. */
export function amount(count: number, singular: string, plural = `${singular}s`): string {
  return `${grouped(count)} ${count === 1 ? singular : plural}`;
}

/** `2,000`. */
export function grouped(count: number): string {
  return count.toLocaleString('en');
}
