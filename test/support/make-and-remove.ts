import { closeSync, fsyncSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { openSqliteCatalog } from '../../src/catalog/sqlite-catalog.ts';
import { openDrivers } from '../../src/drivers/open-drivers.ts';
import { openManagedHost } from '../../src/volumes/managed/managed-host.ts';

/**
 * Creates and removes volumes of a few names until it is killed, and records what it begins and finishes:
 * node make-and-remove.ts STATE-DIR LOG PREFIX. Every second volume durably gets a file that identifies it.
 */
export interface MakingLine {
  readonly what: 'making' | 'made' | 'kept' | 'removing' | 'removed';
  readonly name: string;
  /** The number of the volume among those of that name. */
  readonly turn: number;
}

if (import.meta.main) await makeAndRemove(process.argv.slice(2));

async function makeAndRemove([stateDir = '', logPath = '', prefix = '']: string[]): Promise<void> {
  const log = openSync(logPath, 'a');
  const catalog = openSqliteCatalog(join(stateDir, 'catalog.db'));
  const drivers = openDrivers({ stateDir, secret: async () => Buffer.from('secret') });
  const { managed } = await openManagedHost({ stateDir, catalog, drivers });
  const standing = new Map<string, number>();
  for (let turn = 0; ; turn += 1) {
    const name = `${prefix}-${Math.floor(Math.random() * 8)}`;
    const tell = (what: MakingLine['what'], of: number): void =>
      void writeSync(log, `${JSON.stringify({ what, name, turn: of })}\n`);
    const before = standing.get(name);
    if (before !== undefined) {
      tell('removing', before);
      await managed.remove(name);
      tell('removed', before);
      standing.delete(name);
      if (turn % 3 === 0) continue;
    }
    tell('making', turn);
    const { mountpoint } = await managed.create({
      name,
      driver: 'local',
      labels: { turn: `${turn}` },
      options: {},
    });
    tell('made', turn);
    standing.set(name, turn);
    if (turn % 2 === 0) continue;
    keep(join(mountpoint, 'turn'), `${turn}`);
    tell('kept', turn);
  }
}

function keep(path: string, text: string): void {
  const fd = openSync(path, 'w');
  writeSync(fd, text);
  fsyncSync(fd);
  closeSync(fd);
}
