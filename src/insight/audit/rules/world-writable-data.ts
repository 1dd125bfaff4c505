import { quote } from '../../../model/quote.ts';
import type { Rule } from '../rule.ts';

export const worldWritableData: Rule = {
  id: 'HF-S004',
  name: 'world-writable-data',
  severity: 'leak',
  title: 'Every user can write to the data of a volume',
  meaning: 'Every user and every container that reaches the folder can change or remove the data.',
  *check({ volumes }) {
    for (const { name, content, consumers, place } of volumes) {
      // The sticky bit lets users remove only their own, as in /tmp.
      if (content === undefined || content.isEmpty || (content.root.mode & 0o1002) !== 0o002) continue;
      yield {
        subject: { kind: 'volume', name },
        key: name,
        message: `Every user can write to the volume ${quote(name)}`,
        evidence: [
          `Its root belongs to ${content.root.uid}:${content.root.gid} and has the mode 0${(content.root.mode & 0o7777).toString(8)}.`,
          ...(consumers.length === 0 ? [] : [`It is used by ${consumers.map(quote).join(', ')}.`]),
        ],
        remedy: 'Take the right to write from others',
        commands: [['docker', 'run', '--rm', '-v', `${name}:/volume`, 'busybox', 'chmod', 'o-w', '/volume']],
        place,
      };
    }
  },
};
