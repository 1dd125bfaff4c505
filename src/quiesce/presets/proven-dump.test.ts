import { beforeEach, describe, expect, test } from 'vitest';
import { memoryContainers, type MemoryContainers } from '../../../test/fixtures/containers.ts';
import { decodeDumpName, encodeDumpName } from './dump-name.ts';
import type { PresetServer } from './preset.ts';
import { mongodb } from './mongodb.ts';
import { type DumpProof, endsWithLine, provenDump } from './proven-dump.ts';
import { sqlite } from './sqlite.ts';

let containers: MemoryContainers;
beforeEach(() => {
  containers = memoryContainers();
});

function serverOf(environment: Record<string, string> = {}, files: readonly string[] = []): PresetServer {
  const container = containers.add({ name: 'db', environment });
  const recognition = { by: 'disk', folder: '', files, reason: '' } as const;
  return { containers, container, mountPath: '/data', recognition };
}

async function read(dump: AsyncIterable<Uint8Array> | undefined): Promise<string> {
  if (dump === undefined) throw new Error('There is no dump');
  const chunks: Uint8Array[] = [];
  for await (const chunk of dump) chunks.push(chunk);
  return Buffer.concat(chunks).toString('latin1');
}

const proof: DumpProof = { subject: '"x"', isWhole: endsWithLine('-- Dump completed'), tailBytes: 64 };

function dump(result: { stdout?: string; stderr?: string; exitCode?: number }): Promise<string> {
  const server = serverOf();
  containers.onExec(() => result);
  return read(provenDump(server, { command: ['dump'] }, proof));
}

describe('what a client prints', () => {
  test.each([
    'x'.repeat(10_000) + '\n-- Dump completed\n',
    '-- Dump completed on 2026-11-24 12:00:00\n\n',
    'short\n-- Dump completed',
  ])('is given whole when it ends as it should', async (stdout) => {
    expect(await dump({ stdout })).toBe(stdout);
  });

  test.each([
    ['', /printed is empty/],
    ['INSERT INTO t VALUES (1);\n', /is cut short/],
    ['-- Dump completed\nINSERT INTO t VALUES (1);\n', /is cut short/],
    [`-- Dump completed${'\n'.repeat(100)}`, /is cut short/],
  ])('%j is no whole dump', async (stdout, message) => {
    await expect(dump({ stdout })).rejects.toThrow(message);
  });

  test('counts for nothing when the client fails', async () => {
    const failing = dump({ stdout: '-- Dump completed\n', stderr: 'a\nb: denied\n', exitCode: 2 });
    await expect(failing).rejects.toMatchObject({
      message: 'Cannot dump "x": "dump" in "db" failed (exit 2)',
      detail: 'a\nb: denied',
    });
    await expect(
      dump({ stdout: 'exec: "dump": executable file not found in $PATH', exitCode: 127 }),
    ).rejects.toMatchObject({ code: 'unsupported' });
  });
});

test.each(['shop', 'a.b', '../x', 'é\n', '%', '-', 'Ünï/c "o\'de', '名前'])(
  'a dump of %j has a safe name that tells it again',
  (name) => {
    const encoded = encodeDumpName(name);
    expect(encoded).toMatch(/^[A-Za-z0-9_%-]+$/);
    expect(decodeDumpName(encoded)).toBe(name);
  },
);

describe('MongoDB, as its documentation says', () => {
  const whole = Buffer.concat([
    Buffer.from([0x6d, 0xe2, 0x99, 0x81]),
    Buffer.alloc(50),
    Buffer.alloc(4, 0xff),
  ]);

  test.each([
    ['whole', whole, undefined],
    ['cut short', whole.subarray(0, 40), /is cut short/],
    ['something else', Buffer.concat([Buffer.from('BSON'), whole]), /is no dump/],
  ])('an archive is taken when it is whole: %s', async (_, bytes, message) => {
    // In memory, output is text: bytes beyond ASCII would change.
    const server = serverOf();
    const exec: typeof containers.exec = async (_id, { command }) => ({
      stdout: (async function* () {
        yield command.includes('--version') ? Buffer.from('100.9') : bytes;
      })(),
      ended: Promise.resolve({ exitCode: 0, stderr: '' }),
    });
    const [archive] = (await mongodb.dumps?.({ ...server, containers: containersWith(exec) })) ?? [];
    const reading = read(archive?.open());
    if (message === undefined) expect(Buffer.from(await reading, 'latin1').equals(whole)).toBe(true);
    else await expect(reading).rejects.toThrow(message);
  });

  test('passwords go through stdin and the environment, never into a command', async () => {
    const password = `p'w "d" $x`;
    const server = serverOf({ MONGO_INITDB_ROOT_USERNAME: 'root', MONGO_INITDB_ROOT_PASSWORD: password });
    const seen: string[] = [];
    const inputs: string[] = [];
    const exec: typeof containers.exec = async (_id, { command, stdin, environment }) => {
      seen.push(command.join(' '));
      for await (const chunk of stdin ?? []) inputs.push(Buffer.from(chunk).toString());
      if (environment?.['HOLDFAST_MONGODB'] !== undefined) inputs.push(environment['HOLDFAST_MONGODB']);
      return {
        stdout: (async function* () {
          yield command.includes('--version') ? Buffer.from('2.0') : whole;
        })(),
        ended: Promise.resolve({ exitCode: 0, stderr: '' }),
      };
    };
    const asked = { ...server, containers: containersWith(exec) };
    await mongodb.before?.(asked);
    const [archive] = (await mongodb.dumps?.(asked)) ?? [];
    await read(archive?.open());
    expect(inputs).toEqual([
      `mongodb://root:${encodeURIComponent(password)}@127.0.0.1:27017/admin?directConnection=true`,
      `${password}\n`,
    ]);
    expect(seen.join('\n')).not.toContain("p'w");
  });

  test('a password that the tools would truncate is reported, not tried', async () => {
    const server = serverOf({ MONGO_INITDB_ROOT_USERNAME: 'root', MONGO_INITDB_ROOT_PASSWORD: 'a\nb' });
    await expect(mongodb.dumps?.(server)).rejects.toMatchObject({ code: 'unsupported' });
  });
});

describe('SQLite', () => {
  test('is left as it is where the container has no client', async () => {
    const server = serverOf({}, ['a.db']);
    containers.onExec(() => ({ stdout: 'executable file not found', exitCode: 127 }));
    expect(await sqlite.before?.(server)).toBe(undefined);
    const request = { readyWithinMs: 100, countWithinMs: 100 };
    expect(await sqlite.check(server, request)).toMatchObject({ isHealthy: undefined });
  });

  test('a dump that ends in a ROLLBACK or reports errors does not count', async () => {
    const server = serverOf({}, ['a.db']);
    const [file] = (await sqlite.dumps?.(server)) ?? [];
    expect(file?.name).toBe('sqlite.a%2edb.sql');
    containers.onExec(() => ({ stdout: 'BEGIN TRANSACTION;\nCOMMIT;\n' }));
    expect(await read(file?.open())).toContain('COMMIT;');
    containers.onExec(() => ({ stdout: 'BEGIN TRANSACTION;\nROLLBACK; -- due to errors\n' }));
    await expect(read(file?.open())).rejects.toThrow(/is cut short/);
    const told = `BEGIN TRANSACTION;\n${'x'.repeat(300)}\n/****** CORRUPTION ERROR *******/\nCOMMIT;\n`;
    containers.onExec(() => ({ stdout: told }));
    await expect(read(file?.open())).rejects.toThrow(/tells of errors/);
  });
});

function containersWith(exec: MemoryContainers['exec']): MemoryContainers {
  return new Proxy(containers, {
    get: (target, key) => (key === 'exec' ? exec : Reflect.get(target, key, target)),
  });
}
