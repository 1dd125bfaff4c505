import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openSqliteCatalog } from '../../catalog/sqlite-catalog.ts';
import type { Host } from '../../hosts/host.ts';
import { fromText } from '../../model/byte-string.ts';
import { AppError } from '../../model/errors.ts';
import { refreshSizes } from './refresh.ts';

let folder: string;
let catalog: ReturnType<typeof openSqliteCatalog>;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'refresh-'));
  catalog = openSqliteCatalog(':memory:');
  for (const [name, text] of Object.entries({ a: 'four', b: 'seven b' })) {
    mkdirSync(join(folder, name));
    writeFileSync(join(folder, name, 'rows'), text);
  }
});
afterEach(() => {
  catalog[Symbol.dispose]();
  rmSync(folder, { recursive: true });
});

const plain = { options: {}, labels: {}, consumers: [], anonymous: false, stack: undefined };

function hostWith(volumes: Readonly<Record<string, string>>, opened: string[] = []): Host {
  return {
    kind: 'embedded',
    info: async () => ({ identity: 'h', kind: 'embedded', isRemote: false }),
    listVolumes: async () =>
      Object.entries(volumes).map(([name, driver]) => ({
        ...plain,
        name,
        driver,
        mountpoint: join(folder, name),
      })),
    async openData(name: string) {
      opened.push(name);
      if (name === 'lost') throw new AppError('failed', 'Its folder is not there');
      return { way: 'direct', root: fromText(join(folder, name)), [Symbol.asyncDispose]: async () => {} };
    },
  } as unknown as Host;
}

function refresh(host: Host, names: readonly string[] = [], signal?: AbortSignal) {
  return refreshSizes({ host, catalog, names, signal, onProgress: undefined });
}

function known(): Record<string, { bytes: number | undefined; problem: string | undefined }> {
  return Object.fromEntries(
    catalog.usage
      .listPlaces('h')
      .filter(({ kind }) => kind === 'volume')
      .map(({ name, bytes, problem }) => [name, { bytes, problem }]),
  );
}

test('a refresh measures all volumes, and remembers them as not looked at', async () => {
  expect(await refresh(hostWith({ a: 'local', b: 'local' }))).toEqual([]);
  expect(known()).toEqual({ a: { bytes: 4, problem: undefined }, b: { bytes: 7, problem: undefined } });
  expect(catalog.usage.listHosts()).toMatchObject([{ identity: 'h', lookedAtMs: 0 }]);
});

test('a volume that cannot be measured keeps its last size, and others are measured', async () => {
  mkdirSync(join(folder, 'lost'));
  const host = hostWith({ a: 'local', lost: 'local' });
  const failures = await refresh(host);
  expect(failures).toMatchObject([{ name: 'lost', error: { message: 'Its folder is not there' } }]);
  expect(known()).toMatchObject({
    a: { bytes: 4 },
    lost: { bytes: undefined, problem: 'Its folder is not there' },
  });
});

test('only named volumes are read, and others are not forgotten', async () => {
  await refresh(hostWith({ a: 'local', b: 'local' }));
  writeFileSync(join(folder, 'a/rows'), 'longer');
  writeFileSync(join(folder, 'b/rows'), 'longer');
  const opened: string[] = [];
  await refresh(hostWith({ a: 'local', b: 'local' }, opened), ['b']);
  expect(opened).toEqual(['b']);
  expect(known()).toMatchObject({ a: { bytes: 4 }, b: { bytes: 6 } });
});

test('a volume on a server is read only when it is named', async () => {
  const opened: string[] = [];
  const host = hostWith({ a: 'local', b: 'nfs' }, opened);
  await refresh(host);
  expect(opened).toEqual(['a']);
  expect(known()).toMatchObject({ b: { bytes: undefined, problem: 'it lies on a server' } });
});

test('what was measured before a cancel is remembered', async () => {
  const cancel = new AbortController();
  const host = hostWith({ a: 'local', b: 'local' });
  const open = host.openData.bind(host);
  host.openData = async (name, options) => {
    if (name === 'b') cancel.abort();
    cancel.signal.throwIfAborted();
    return await open(name, options);
  };
  await expect(refresh(host, [], cancel.signal)).rejects.toThrow();
  expect(known()).toEqual({ a: { bytes: 4, problem: undefined } });
});
