import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** Waits until the repository has more packs than at the call. */
export async function waitForPack(repository: string): Promise<void> {
  const before = countPacks(repository);
  const deadline = Date.now() + 120_000;
  while (Date.now() < deadline) {
    if (countPacks(repository) > before) return;
    await sleep(5);
  }
  throw new Error('No pack came');
}

function countPacks(repository: string): number {
  const names = readdirSync(join(repository, 'data'), { recursive: true, encoding: 'utf8' });
  return names.filter((name) => /\/[0-9a-f]{64}$/.test(name)).length;
}
