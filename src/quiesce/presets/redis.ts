import { setTimeout as sleep } from 'node:timers/promises';
import { amount } from '../../model/size.ts';
import { AppError } from '../../model/errors.ts';
import { quote } from '../../model/quote.ts';
import { CheckReport, neverReady } from './check-report.ts';
import type { CheckRequest, DiskEvidence, Made, Preset, PresetCheck, PresetServer } from './preset.ts';
import { type FoundOnDisk, below, folderWith, recogniseBy } from './recognise.ts';
import { connectRedis, type RedisClient } from './redis-client.ts';
import { untilReady } from './until-ready.ts';

const images = [
  'redis',
  'valkey',
  'keydb',
  'redis-stack',
  'redis-stack-server',
  'redis-cluster',
  'valkey-cluster',
  'valkey-bundle',
];

/** A large memory takes a while to be written. */
const saveWithinMs = 60 * 60_000;

/**
 * Redis, Valkey, KeyDB. Their files are their backup: `dump.rdb` is replaced in one step, and an append-only
 * file has all that was answered. So `BGSAVE` makes the files recent first, and they are restored as files,
 * into a server that does not run.
 */
export const redis: Preset = {
  name: 'redis',
  title: 'Redis or Valkey',
  recognises: (subject) => recogniseBy(subject, { images, findOnDisk }),
  before: saveNow,
  check: checkRedis,
};

const rdbMagic = Buffer.from('REDIS');

function findOnDisk(disk: DiskEvidence): FoundOnDisk | undefined {
  const folder = folderWith(disk, ['appendonlydir']);
  if (folder !== undefined) return { folder, sign: below(folder, 'appendonlydir') };
  const isRdb = ([path, head]: readonly [string, Uint8Array]): boolean =>
    path.endsWith('.rdb') && rdbMagic.equals(head.subarray(0, rdbMagic.length));
  const sign = [...disk].find(isRdb)?.[0];
  return sign === undefined ? undefined : { folder: sign.slice(0, Math.max(0, sign.lastIndexOf('/'))), sign };
}

async function saveNow(server: PresetServer): Promise<Made | undefined> {
  const client = await connectRedis(server);
  const before = await client.info('persistence');
  // At its start such a server reads the append-only file and ignores a dump.
  if (before.get('aof_enabled') === '1') return undefined;
  await waitPast(client, Number(before.get('rdb_last_save_time')), server);
  const answer = await client.ask('BGSAVE', 'SCHEDULE');
  await untilSaved(client, Number(before.get('rdb_last_save_time')), answer);
  return { evidence: `BGSAVE in "${server.container.name}"`, grade: 'app' };
}

/** The last save's time is in whole seconds, so a save in the same second would look the same. */
async function waitPast(client: RedisClient, lastSave: number, { signal }: PresetServer): Promise<void> {
  for (let tries = 0; tries < 20; tries++) {
    const [seconds = ''] = (await client.ask('TIME')).split('\n');
    if (Number(seconds) !== lastSave) return;
    await sleep(200, undefined, { signal });
  }
}

async function untilSaved(client: RedisClient, lastSave: number, answer: string): Promise<void> {
  const { server } = client;
  const place = quote(server.container.name);
  const deadline = performance.now() + saveWithinMs;
  for (let waitMs = 20; performance.now() < deadline; waitMs = Math.min(waitMs * 1.5, 1000)) {
    const now = await client.info('persistence');
    const isBusy = now.get('rdb_bgsave_in_progress') === '1';
    if (!isBusy && now.get('rdb_last_bgsave_status') !== 'ok')
      throw new AppError('failed', `Redis in ${place} could not save its data`, {
        detail: answer,
        hint: 'Its log says why; a full disk and too little memory are the usual reasons.',
      });
    if (!isBusy && Number(now.get('rdb_last_save_time')) !== lastSave) return;
    await sleep(waitMs, undefined, { signal: server.signal });
  }
  throw new AppError('failed', `Redis in ${place} did not save its data in time`, { detail: answer });
}

/** Waits until the server has loaded its data, and counts the keys. */
async function checkRedis(server: PresetServer, request: CheckRequest): Promise<PresetCheck> {
  const answer = await untilReady(server, request.readyWithinMs, () => connectRedis(server));
  if (answer.value === undefined) return neverReady(answer.error);
  const client = answer.value;
  const report = new CheckReport(answer.readyAfterMs);
  try {
    let keys = 0;
    const databases = await client.info('keyspace');
    for (const [database, text] of databases) {
      const count = Number(/keys=(\d+)/.exec(text)?.[1] ?? Number.NaN);
      report.count(`keys.${database}`, count);
      keys += count;
    }
    report.fact(amount(keys, 'key'));
    report.count('keys', keys);
  } catch (error) {
    if (server.signal?.aborted === true) throw error;
    report.problem(error);
  }
  return report.done();
}
