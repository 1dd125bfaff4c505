import { quote } from '../../../model/quote.ts';
import type { AuditedMount } from '../audit-view.ts';
import { whereLies } from '../data-mounts.ts';
import { databases } from '../servers.ts';
import type { Rule } from '../rule.ts';

export const databaseInMemory: Rule = {
  id: 'HF-V002',
  name: 'database-in-memory',
  severity: 'loss',
  title: 'A database keeps its data in memory',
  meaning: 'The data is gone when the container stops, and the machine with it.',
  *check({ services }) {
    for (const { service, server, path } of databases(services)) {
      const lies = whereLies(service, path);
      if (lies.on !== 'mount' || !isMemory(lies.mount)) continue;
      const { subject, key } = service;
      yield {
        subject,
        key: `${key} ${path}`,
        message: `${server.label} in ${quote(subject.name)} writes to ${quote(path)}, which is in memory`,
        evidence: [`${quote(lies.mount.target)} is a tmpfs${nameOf(lies.mount)}.`],
        remedy: 'Mount a named volume there, unless losing the data at each stop is what you want',
        place: lies.mount.place,
      };
    }
  },
};

/** A volume of the local driver can be a tmpfs too. */
function isMemory({ type, volume }: AuditedMount): boolean {
  return type === 'tmpfs' || (volume?.driver === 'local' && volume.options['type'] === 'tmpfs');
}

function nameOf({ source }: AuditedMount): string {
  return source === undefined ? '' : `, as the options of volume ${quote(source)} say`;
}
