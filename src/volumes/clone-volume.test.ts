import { chmodSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { makeHostileTree } from '../../test/support/hostile-tree.ts';
import { treeFacts } from '../../test/support/tree-facts.ts';
import { consumer, namesIn } from '../../test/fixtures/directory-host.ts';
import { isRoot, plain, useEngine } from '../../test/fixtures/engine-under-test.ts';

describe.each(['direct', 'stream'] as const)('clone() (%s)', (way) => {
  const t = useEngine(way);
  test.skipIf(!isRoot)('makes an exact copy, the root and its labels included', async () => {
    await t.engine.create({
      ...plain,
      name: 'from',
      labels: { keep: '1', 'com.docker.compose.project': 'p' },
    });
    await makeHostileTree(t.host.path('from'), { socket: way === 'direct' });
    chmodSync(t.host.path('from'), 0o1751);
    const report = await t.engine.clone({ from: 'from', to: 'to', labels: { added: '2' } });
    expect(report).toMatchObject({ way, wasCreated: true, problems: [], notes: [] });
    expect(report.volume).toMatchObject({ name: 'to', labels: { keep: '1', added: '2' } });
    expect(report.bytes).toBeGreaterThan(3_000_000);
    expect(treeFacts(t.host.path('to'))).toEqual(treeFacts(t.host.path('from')));
  });

  test('refuses a target that holds something, and leaves it unchanged', async () => {
    await t.create('from', { a: 'a' });
    const to = await t.create('to', { b: 'b' });
    await expect(t.engine.clone({ from: 'from', to: 'to' })).rejects.toMatchObject({ code: 'conflict' });
    expect(namesIn(to)).toEqual(['b']);
  });

  test('fills an existing empty target', async () => {
    await t.create('from', { a: 'a' });
    const to = await t.create('to');
    expect(await t.engine.clone({ from: 'from', to: 'to' })).toMatchObject({ wasCreated: false });
    expect(readFileSync(join(to, 'a'), 'utf8')).toBe('a');
  });

  test('refuses itself and a missing source, and then makes nothing', async () => {
    await t.create('from');
    await expect(t.engine.clone({ from: 'from', to: 'from' })).rejects.toMatchObject({ code: 'usage' });
    await expect(t.engine.clone({ from: 'form', to: 'to' })).rejects.toMatchObject({ code: 'not-found' });
    expect(await t.host.findVolume('to')).toBeUndefined();
  });

  test('notes who was using the source, and drops options that name its place', async () => {
    await t.create('from', { a: 'a' });
    t.host.set('from', {
      consumers: [consumer('db-1')],
      options: { type: 'none', o: 'bind', device: '/srv' },
    });
    const report = await t.engine.clone({ from: 'from', to: 'to' });
    expect(report.notes.join(' ')).toMatch(/"db-1" \(running\).*|plain volume/);
    expect(report.notes).toHaveLength(2);
    expect(report.volume.options).toEqual({});
  });

  test('removes the target that it made when it is cancelled', async () => {
    await t.create('from', { a: 'a'.repeat(100_000), b: 'b' });
    const cancel = new AbortController();
    const run = t.engine.clone(
      { from: 'from', to: 'to' },
      { signal: cancel.signal, onProgress: () => cancel.abort() },
    );
    await expect(run).rejects.toMatchObject({ code: 'cancelled' });
    expect(await t.host.findVolume('to')).toBeUndefined();
  });
});
