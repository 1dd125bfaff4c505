import { quote } from '../../../model/quote.ts';
import type { Rule } from '../rule.ts';

export const privilegedContainer: Rule = {
  id: 'HF-S009',
  name: 'privileged',
  severity: 'leak',
  title: 'A container is privileged',
  meaning: 'It can mount every disk of the machine, and so read and change the data of every volume.',
  *check({ services }) {
    for (const { subject, key, privileged, place } of services) {
      if (!privileged) continue;
      const path = place.path === undefined ? undefined : [...place.path, 'privileged'];
      yield {
        subject,
        key,
        message: `${quote(subject.name)} is privileged`,
        evidence: ['It has all devices and all rights of root over the machine.'],
        remedy: 'Give it the devices and capabilities that it needs, by "devices" and "cap_add"',
        place: {
          ...place,
          path,
          position: path === undefined ? undefined : place.project?.project.positionOf(path),
        },
      };
    }
  },
};
