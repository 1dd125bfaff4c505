/** On a volume in the trash that an engine had: the name that it had there, where it goes back to. */
export const removedFromLabel = 'holdfast.removed-from-engine';

interface Labelled {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** What people knew it by: the trash may have it under a name near that. */
export function nameBefore({ name, labels }: Labelled): string {
  return labels[removedFromLabel] ?? name;
}
