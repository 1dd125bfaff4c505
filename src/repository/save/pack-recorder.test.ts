import { afterEach, beforeEach, expect, test } from 'vitest';
import { AppError } from '../../model/errors.ts';
import { encodeIndexEntry, loadIndexFile } from '../blob-index/index-file.ts';
import { openTestCodec, type TestCodec } from '../../../test/fixtures/open-codec.ts';
import { PackRecorder } from './pack-recorder.ts';

let opened: TestCodec;
beforeEach(async () => {
  opened = await openTestCodec();
});
afterEach(() => opened[Symbol.asyncDispose]());

const pack = { id: 'a'.repeat(64), blobs: [] };

test('packs are in a durable index file when it is finished', async () => {
  const recorder = new PackRecorder(opened.codec);
  recorder.add(encodeIndexEntry(pack));
  await recorder.finish();
  const [file] = await opened.codec.store.list('index');
  expect(await loadIndexFile(opened.codec, file?.name ?? '')).toEqual([pack]);
});

test('no index names packs that a prune may have removed since the lock was lost', async () => {
  const lost = new AppError('locked', 'The lock was removed');
  const recorder = new PackRecorder(opened.codec, { assertHeld: () => Promise.reject(lost) });
  recorder.add(encodeIndexEntry(pack));
  await expect(recorder.finish()).rejects.toBe(lost);
  expect(await opened.codec.store.list('index')).toEqual([]);
});
