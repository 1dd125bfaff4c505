import { quote } from '../../../model/quote.ts';
import type { Rule } from '../rule.ts';

export const memoryWithoutSize: Rule = {
  id: 'HF-S010',
  name: 'tmpfs-without-size',
  severity: 'downtime',
  title: 'A tmpfs has no size',
  meaning:
    'It may fill half of the machine’s memory, and the kernel then kills what is largest: often the database.',
  onRequest: true,
  *check({ services }) {
    for (const { subject, key, mounts } of services)
      for (const { memory, target, place } of mounts) {
        if (memory === undefined || memory.hasSize) continue;
        yield {
          subject,
          key: `${key} ${target}`,
          message: `The tmpfs at ${quote(target)} of ${quote(subject.name)} has no size`,
          evidence: ['Without one it may take half of the memory.'],
          remedy: 'Give it a size that is enough, such as "size=64m"',
          place,
        };
      }
  },
};
