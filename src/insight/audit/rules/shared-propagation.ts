import { quote } from '../../../model/quote.ts';
import type { Rule } from '../rule.ts';

export const sharedPropagation: Rule = {
  id: 'HF-S007',
  name: 'shared-propagation',
  severity: 'downtime',
  title: 'Mounts that a container makes appear on the machine',
  meaning:
    'A mount made in the container covers a folder of the machine, stays when the container is gone, and keeps its volume busy.',
  *check({ services }) {
    for (const { subject, key, mounts } of services)
      for (const { source, target, propagation, place } of mounts) {
        if (propagation !== 'shared' && propagation !== 'rshared') continue;
        yield {
          subject,
          key: `${key} ${target}`,
          message: `${quote(subject.name)} shares its mounts below ${quote(target)} with the machine`,
          evidence: [`${quote(source ?? target)} is mounted with ${quote(propagation)}.`],
          remedy: 'Use "rslave" when the app only has to see the machine’s mounts, and nothing otherwise',
          place,
        };
      }
  },
};
