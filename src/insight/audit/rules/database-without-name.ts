import { quote } from '../../../model/quote.ts';
import { whereLies } from '../data-mounts.ts';
import { databases } from '../servers.ts';
import type { Rule } from '../rule.ts';
import { findShadows } from './shadowed-data.ts';

export const databaseWithoutName: Rule = {
  id: 'HF-V003',
  name: 'database-without-name',
  severity: 'loss',
  title: 'A database keeps its data on an anonymous volume',
  meaning:
    'A volume without a name goes with "docker compose down -v", "docker rm -v" and every prune, and the next container begins with an empty database.',
  *check({ services }) {
    for (const { service, server, path } of databases(services)) {
      const lies = whereLies(service, path);
      if (lies.on !== 'anonymous' || findShadows(service).length > 0) continue;
      const { subject, key } = service;
      const source = lies.mount?.source;
      yield {
        subject,
        key: `${key} ${path}`,
        message: `${server.label} in ${quote(subject.name)} keeps its data at ${quote(path)} on a volume without a name`,
        evidence: [
          source === undefined
            ? `Nothing is mounted at ${quote(lies.at)}, which the image declares as VOLUME.`
            : `${quote(lies.at)} is the anonymous volume ${quote(source)}.`,
        ],
        ...(source === undefined
          ? { remedy: `Give it a name: mount a named volume at ${quote(lies.at)}` }
          : {
              // A copy of files that a server writes to is none that it can start on.
              remedy: `Give it a name: stop the server, copy the volume, and mount the copy at ${quote(lies.at)}, as a volume that is "external"`,
              commands: [
                ['docker', 'stop', subject.name],
                ['holdfast', 'volume', 'clone', source, `${subject.name}-data`],
              ],
            }),
        place: lies.mount?.place ?? service.place,
      };
    }
  },
};
