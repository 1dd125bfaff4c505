/**
 * `FOLDER export|import`: packs the volume "from", or fills "to", in a separate process that a test can kill.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { openDirectoryHost } from '../fixtures/directory-host.ts';
import { openHostVolumes } from '../../src/volumes/index.ts';

const [folder = '', action] = process.argv.slice(2);
const host = openDirectoryHost(folder, 'direct');
const engine = openHostVolumes({ host, leases: undefined });
const plain = { driver: '', labels: {}, options: {} };
mkdirSync(join(folder, 'volumes'), { recursive: true });
for (const name of ['from', 'to']) await host.createVolume({ ...plain, name });
const archive = { kind: 'path', path: join(folder, 'archive.tar.zst') } as const;
console.log('started');
if (action === 'export') await engine.export({ volume: 'from', to: archive });
else await engine.import({ volume: 'to', from: archive });
