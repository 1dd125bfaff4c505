import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { openSqliteCatalog } from '../../src/catalog/sqlite-catalog.ts';
import { openDockerHost } from '../../src/hosts/docker/docker-host.ts';
import { takeLeases } from '../../src/leases/index.ts';
import type { Work } from '../../src/leases/works.ts';

/**
 * Takes the lease of a work on a volume for each line `WORK VOLUME` as JSON, instead of the previous one;
 * prints `held`.
 */
const [stateDir = '', dockerHost = ''] = process.argv.slice(2);
using catalog = openSqliteCatalog(join(stateDir, 'catalog.db'));
await using host = dockerHost === '' ? undefined : await openDockerHost({ env: { DOCKER_HOST: dockerHost } });
const scope = { stateDir, catalog, host: host && (async () => host) };
let held: AsyncDisposable | undefined;
for await (const line of createInterface(process.stdin)) {
  const { work, name } = JSON.parse(line) as { readonly work?: Work; readonly name: string };
  await held?.[Symbol.asyncDispose]();
  held = work && (await takeLeases(scope, { places: [{ kind: 'volume', name }], work }, {}));
  console.log('held');
}
