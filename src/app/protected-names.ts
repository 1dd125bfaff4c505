import type { Catalog } from '../catalog/catalog.ts';
import type { ProtectedNames } from '../volumes/index.ts';
import type { Host } from '../hosts/host.ts';
import { once } from './once.ts';

/** The protected volumes of a host, which must not be removed, from the catalog. */
export function openProtectedNames(host: Host, catalog: () => Promise<Catalog>): ProtectedNames {
  const memory = once(async () => ({
    identity: (await host.info()).identity,
    known: (await catalog()).volumes,
  }));
  return {
    async has(name) {
      const { known, identity } = await memory();
      return known.isProtected(identity, name);
    },
    async list() {
      const { known, identity } = await memory();
      return known.listProtected(identity);
    },
    async set(name, isProtected) {
      const { known, identity } = await memory();
      known.setProtected(identity, name, isProtected);
    },
  };
}
