import { cleanPath } from '../../model/clean-path.ts';
import type { AuditedService } from './audit-view.ts';
import type { ServerFacts } from './image-facts.ts';

export interface DatabaseUse {
  readonly service: AuditedService;
  readonly server: ServerFacts;
  /** A directory where it keeps what must not be lost, clean. */
  readonly path: string;
}

/** Every data directory of every database; caches have none. Pure. */
export function databases(services: readonly AuditedService[]): DatabaseUse[] {
  return services.flatMap((service) => {
    const { server } = service.facts;
    if (server?.kind !== 'database') return [];
    return server.dataDirectories.map((path) => ({ service, server, path: cleanPath(path) }));
  });
}
