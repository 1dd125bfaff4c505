/** The error of the engine's own driver for options, in its words; undefined when it accepts them. */
export function refusalOfLocalOptions(options: Readonly<Record<string, string>>): string | undefined {
  const unknown = Object.keys(options).find((key) => !['type', 'device', 'o', 'size'].includes(key));
  if (unknown !== undefined) return `invalid option: ${JSON.stringify(unknown)}`;
  const mount = refusalOfMount(options);
  if (mount !== undefined) return mount;
  const { size } = options;
  if (size !== undefined && !/^\d+(?:\.\d+)? ?(?:[kmgtp]i?b?|b)?$/i.test(size))
    return `invalid size: '${size}'`;
  return undefined;
}

/** A mount needs its type and its device, even where the driver itself needs less. */
export function refusalOfMount(options: Readonly<Record<string, string>>): string | undefined {
  const needs = (key: string, others: readonly string[]): boolean =>
    others.some((other) => other in options) && !(key in options);
  if (needs('device', ['type', 'o'])) return 'missing required option: "device"';
  if (needs('type', ['device', 'o'])) return 'missing required option: "type"';
  return undefined;
}
