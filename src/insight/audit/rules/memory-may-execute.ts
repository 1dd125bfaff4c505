import { quote } from '../../../model/quote.ts';
import type { Rule } from '../rule.ts';

export const memoryMayExecute: Rule = {
  id: 'HF-S011',
  name: 'tmpfs-with-exec',
  severity: 'hygiene',
  title: 'Programs can be run from a tmpfs',
  meaning: 'What breaks into the app has a place to put a program that leaves no trace on the disk.',
  onRequest: true,
  *check({ services }) {
    for (const { subject, key, mounts } of services)
      for (const { memory, target, place } of mounts) {
        if (memory?.mayExecute !== true) continue;
        yield {
          subject,
          key: `${key} ${target}`,
          message: `Programs can be run from the tmpfs at ${quote(target)} of ${quote(subject.name)}`,
          evidence: ['Its options say "exec"; without it the engine mounts "noexec".'],
          remedy: 'Take "exec" away unless the app unpacks programs there',
          place,
        };
      }
  },
};
