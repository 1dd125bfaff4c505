import { writeSync } from 'node:fs';
import { openSqliteCatalog } from '../../src/catalog/sqlite-catalog.ts';

/**
 * A process that writes runs to the catalog: `catalog-writer.ts PATH NAME COUNT`. Prints the number of each
 * run once its write has returned, so that a test that kills it knows what must be there.
 */
const [path = '', name = '', count = '0'] = process.argv.slice(2);
using catalog = openSqliteCatalog(path);
for (let number = 0; number < Number(count); number += 1) {
  const time = new Date().toISOString();
  catalog.recordRun({
    volumeIdentity: name,
    volumeName: name,
    repositoryId: 'r',
    snapshotId: String(number),
    outcome: 'good',
    startedAt: time,
    finishedAt: time,
    message: undefined,
  });
  catalog.setVolumeIdentity('host', `${name}-${number}`, name);
  writeSync(1, `${number}\n`);
}
