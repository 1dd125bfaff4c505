import { quote } from '../../../model/quote.ts';
import { type AuditedService, type AuditView, nowhere } from '../audit-view.ts';
import type { Rule } from '../rule.ts';

export const volumeOfTwoStacks: Rule = {
  id: 'HF-V006',
  name: 'volume-of-two-stacks',
  severity: 'loss',
  title: 'Two stacks write to one volume',
  meaning:
    'Each stack thinks that the data is its own: "docker compose down -v" of one takes the other’s, and a backup of one stack alone is never of one moment.',
  *check(view) {
    for (const [name, writers] of writersOf(view)) {
      const stacks = [...new Set(writers.map(({ stack }) => stack ?? ''))].filter((stack) => stack !== '');
      if (stacks.length < 2) continue;
      const place = view.volumes.find((volume) => volume.name === name)?.place ?? nowhere;
      yield {
        subject: { kind: 'volume', name },
        key: name,
        message: `The stacks ${stacks.toSorted().map(quote).join(' and ')} write to the volume ${quote(name)}`,
        evidence: writers.map(
          ({ subject, stack }) => `${quote(subject.name)} of ${quote(stack ?? '')} writes to it.`,
        ),
        remedy: 'Give each stack a volume of its own, or mount it ":ro" where it is only read',
        place,
      };
    }
  },
};

function writersOf({ services }: AuditView): Map<string, AuditedService[]> {
  const writers = new Map<string, AuditedService[]>();
  for (const service of services)
    for (const { type, source, readOnly, isAnonymous } of service.mounts) {
      if (type !== 'volume' || source === undefined || readOnly || isAnonymous) continue;
      const known = writers.get(source) ?? [];
      if (!known.some(({ key }) => key === service.key)) writers.set(source, [...known, service]);
    }
  return writers;
}
