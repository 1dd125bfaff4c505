import { isWithin } from '../../../model/clean-path.ts';
import { quote } from '../../../model/quote.ts';
import type { AuditedService } from '../audit-view.ts';
import { whereLies } from '../data-mounts.ts';
import { databases } from '../servers.ts';
import type { Rule } from '../rule.ts';

export const databaseShared: Rule = {
  id: 'HF-V007',
  name: 'database-shared',
  severity: 'loss',
  title: 'Two servers keep their data in one place',
  meaning:
    'Two database servers on one data directory destroy it; locks do not always help, as each container has process ids of its own.',
  *check({ services }) {
    const users = new Map<
      string,
      { readonly service: AuditedService; readonly label: string; readonly inside: string }[]
    >();
    for (const { service, server, path } of databases(services)) {
      const lies = whereLies(service, path);
      if (lies.on !== 'mount' || lies.mount.source === undefined || lies.mount.readOnly) continue;
      const { source, target } = lies.mount;
      const others = users.get(source) ?? [];
      const one = { service, label: server.label, inside: path.slice(target.length) };
      if (!others.some(({ service: { key } }) => key === service.key)) users.set(source, [...others, one]);
    }
    for (const [source, found] of users) {
      const sharing = found.filter((one) =>
        found.some(
          (other) =>
            other !== one &&
            (isWithin(`/${other.inside}`, `/${one.inside}`) ||
              isWithin(`/${one.inside}`, `/${other.inside}`)),
        ),
      );
      const [first, second] = sharing;
      if (first === undefined || second === undefined) continue;
      yield {
        subject: { kind: 'volume', name: source },
        key: source,
        message: `${sharing.map(({ service }) => quote(service.subject.name)).join(' and ')} keep their databases in the same ${quote(source)}`,
        evidence: sharing.map(
          ({ service, label }) => `${label} in ${quote(service.subject.name)} writes to it.`,
        ),
        remedy: 'Give each server a volume of its own',
        place: second.service.place,
      };
    }
  },
};
