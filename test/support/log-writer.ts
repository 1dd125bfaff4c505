import { writeSync } from 'node:fs';
import { join } from 'node:path';
import { openSqliteCatalog } from '../../src/catalog/sqlite-catalog.ts';
import { openAuditLog } from '../../src/activity/log/open-audit-log.ts';

/**
 * A process that writes to the log: `log-writer.ts STATE-DIR NAME COUNT`. Prints the number of each entry
 * once its write has returned, so that a test that kills it knows what must be there.
 */
const [stateDir = '', name = '', count = '0'] = process.argv.slice(2);
using catalog = openSqliteCatalog(join(stateDir, 'catalog.db'));
const log = openAuditLog({
  stateDir,
  now: Date.now,
  env: process.env,
  catalog: async () => catalog,
  segmentBytes: 20_000,
  onWarning: (message) => void writeSync(2, `${message}\n`),
});
for (let number = 0; number < Number(count); number++) {
  if (await log.record([{ kind: 'backup', outcome: 'good', volume: name, message: String(number) }]))
    writeSync(1, `${number}\n`);
}
