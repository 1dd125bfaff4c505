/** `--read-data`, whose percentage may be left out. */
export function readDataFlag(brief: string) {
  return {
    kind: 'parsed',
    parse: (input: string): string => input,
    inferEmpty: true,
    optional: true,
    brief,
    placeholder: 'PERCENT',
  } as const;
}
