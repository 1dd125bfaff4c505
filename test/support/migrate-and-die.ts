import { join } from 'node:path';
import { openSqliteCatalog } from '../../src/catalog/sqlite-catalog.ts';
import type { Catalog } from '../../src/catalog/catalog.ts';
import { openDrivers } from '../../src/drivers/open-drivers.ts';
import { openManagedHost } from '../../src/volumes/managed/managed-host.ts';
import type { MigrationPlaces } from '../../src/volumes/managed/managed-volumes.ts';
import { TreeMirror } from '../../src/volumes/mirror/tree-mirror.ts';
import { fromText } from '../../src/model/byte-string.ts';

/** Migrates a volume, and kills itself at one moment of it: node migrate-and-die.ts STATE-DIR NAME MOMENT DRIVER|back OPTIONS-AS-JSON */
export const deadlyMoments = [
  'seeding',
  'seeded',
  'still',
  'finishing',
  'finished',
  'exchanged',
  'recorded',
  'released',
] as const;
type DeadlyMoment = (typeof deadlyMoments)[number];

if (import.meta.main) await migrateAndDie(process.argv.slice(2));

async function migrateAndDie([
  stateDir = '',
  name = '',
  moment,
  driver = '',
  options = '{}',
]: string[]): Promise<void> {
  const dieAt = (now: DeadlyMoment): void => {
    if (now === moment) process.kill(process.pid, 'SIGKILL');
  };
  const catalog = deadly(openSqliteCatalog(join(stateDir, 'catalog.db')), dieAt);
  const drivers = openDrivers({ stateDir, secret: async () => Buffer.from('secret') });
  const { managed } = await openManagedHost({ stateDir, catalog, drivers });
  let mirror: TreeMirror | undefined;
  const steps = {
    async seed({ from, to }: MigrationPlaces) {
      mirror = new TreeMirror(fromText(from), fromText(to), { onProgress: () => dieAt('seeding') });
      await mirror.pass({ isStill: false });
      dieAt('seeded');
    },
    async makeStill() {
      dieAt('still');
      return { [Symbol.asyncDispose]: async () => dieAt('released') };
    },
    async finish() {
      dieAt('finishing');
      await mirror?.pass({ isStill: true });
      dieAt('finished');
    },
  };
  if (driver === 'back') return void (await managed.migrateBack(name, { steps }));
  await managed.migrate(name, { driver, options: JSON.parse(options) as Record<string, string> }, { steps });
}

/** The exchange of the folders is just before the record, and what is left just after. */
function deadly(catalog: Catalog, dieAt: (now: DeadlyMoment) => void): Catalog {
  const { volumes } = catalog;
  const update: typeof volumes.update = (record) => {
    dieAt('exchanged');
    volumes.update(record);
    dieAt('recorded');
  };
  return new Proxy(catalog, {
    get(target, key) {
      if (key === 'volumes') return { ...volumes, update };
      const value: unknown = Reflect.get(target, key);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
}
