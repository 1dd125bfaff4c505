import { quote } from '../../../model/quote.ts';
import { whereLies } from '../data-mounts.ts';
import { databases } from '../servers.ts';
import type { Rule } from '../rule.ts';
import { findShadows } from './shadowed-data.ts';

export const databaseOnNothing: Rule = {
  id: 'HF-V004',
  name: 'database-on-nothing',
  severity: 'loss',
  title: 'A database keeps its data in the container itself',
  meaning: 'The data goes with the container: an update of the image is enough.',
  *check({ services }) {
    for (const { service, server, path } of databases(services)) {
      if (whereLies(service, path).on !== 'layer' || findShadows(service).length > 0) continue;
      const { subject, key } = service;
      yield {
        subject,
        key: `${key} ${path}`,
        message: `${server.label} in ${quote(subject.name)} keeps its data at ${quote(path)}, where nothing is mounted`,
        evidence: ['The image declares no VOLUME there.'],
        remedy: `Mount a named volume at ${quote(path)}`,
        place: service.place,
      };
    }
  },
};
