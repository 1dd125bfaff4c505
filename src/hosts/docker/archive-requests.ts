import { once } from 'node:events';
import type { ClientRequest, IncomingMessage } from 'node:http';
import { type SilenceWatch, watchSilence } from '../../lib/silence.ts';
import { toPrintable, type ByteString } from '../../model/byte-string.ts';
import { AppError } from '../../model/errors.ts';
import { type ArchiveStat, encodeArchivePath, parseArchiveStat } from './archive-path.ts';
import { formatSeconds } from './call-deadline.ts';
import type { EngineCall, EngineClient } from './engine-client.ts';
import { type HelperContainer, helperMountpoint } from './helper-container.ts';

/** Everything that one archive request needs to know. */
export interface ArchiveTarget {
  readonly client: EngineClient;
  readonly helper: HelperContainer;
  readonly volume: string;
  /** Aborted by the caller's signal and when the volume's data is closed. */
  readonly signal: AbortSignal;
  /** A stream without progress is given up after this long. */
  readonly idleMs: number;
}

/** What is at `path`, without following a symbolic link there. */
export async function statArchivePath(target: ArchiveTarget, path: ByteString): Promise<ArchiveStat> {
  const response = await target.client.stream({
    method: 'HEAD',
    path: archiveUrl(target.helper.id, joinMountpoint(path)),
    action: `Cannot find "${toPrintable(path)}" in volume "${target.volume}"`,
    signal: target.signal,
  });
  response.resume();
  return parseArchiveStat(response.headers['x-docker-container-path-stat'] as string | undefined);
}

/** The engine's tar stream of a path: the content of a directory, or one entry under its own name. */
export async function getArchive(
  target: ArchiveTarget,
  path: ByteString,
  type: ArchiveStat['type'] | 'itself',
): Promise<AsyncGenerator<Uint8Array, void, undefined>> {
  const place = joinMountpoint(path);
  const call: EngineCall = {
    method: 'GET',
    path: archiveUrl(target.helper.id, type === 'dir' ? `${place}/.` : place),
    action: `Cannot read volume "${target.volume}"`,
    signal: target.signal,
    deadlineMs: target.idleMs,
  };
  return readBody(target, call, await target.client.stream(call));
}

async function* readBody(
  target: ArchiveTarget,
  call: EngineCall,
  response: IncomingMessage,
): AsyncGenerator<Uint8Array, void, undefined> {
  // Runs only while we wait for the engine.
  const watch = watchSilence(target.idleMs, () => response.destroy(idleError(call, target.idleMs)));
  try {
    for await (const chunk of response as AsyncIterable<Uint8Array>) {
      // No timeout while the caller works on a chunk.
      watch.stop();
      yield chunk;
      watch.start();
    }
    if (!response.complete) throw target.client.failure(call);
  } catch (error) {
    throw target.client.failure(call, error);
  } finally {
    watch.stop();
    response.destroy();
  }
}

/** Sends a tar stream to be unpacked at `place`, an absolute path in the helper. */
export async function putArchive(
  target: ArchiveTarget,
  place: ByteString,
  chunks: AsyncIterable<Uint8Array>,
): Promise<void> {
  const call: EngineCall = {
    method: 'PUT',
    path: `${archiveUrl(target.helper.id, place)}&noOverwriteDirNonDir=1`,
    action: `Cannot write to volume "${target.volume}"`,
    signal: target.signal,
  };
  await sendArchive(target, call, chunks);
}

/** Sends a tar stream as the body of a call. */
export async function sendArchive(
  { client, idleMs }: Pick<ArchiveTarget, 'client' | 'idleMs'>,
  call: EngineCall,
  chunks: AsyncIterable<Uint8Array>,
): Promise<void> {
  // An engine that refuses says so before we send anything.
  const headers = { 'Content-Type': 'application/x-tar', Expect: '100-continue' };
  const { request, answer } = await client.send({ ...call, headers });
  const watch = watchSilence(idleMs, () => request.destroy(idleError(call, idleMs)));
  const upload = new Upload(request, answer);
  try {
    await upload.next(once(request, 'continue'));
    watch.stop();
    await writeBody(upload, chunks, watch);
    watch.start();
    const response = await answer;
    response.resume();
    if (!response.complete) await once(response, 'end');
  } finally {
    watch.stop();
    request.destroy();
  }
}

async function writeBody(
  upload: Upload,
  chunks: AsyncIterable<Uint8Array>,
  watch: SilenceWatch,
): Promise<void> {
  const iterator = chunks[Symbol.asyncIterator]();
  for (;;) {
    const step = await upload.next(iterator.next());
    if (step === undefined) break;
    if (step.done === true) {
      upload.request.end();
      return;
    }
    if (upload.request.write(step.value)) continue;
    watch.start();
    await upload.next(once(upload.request, 'drain'));
    watch.stop();
  }
  // Not awaited: a source that hangs must not hide the engine's response.
  iterator.return?.().catch(() => undefined);
}

/**
 * A request whose response may come at any time, as when the engine refuses: writing is pointless from then
 * on.
 */
class Upload {
  readonly request: ClientRequest;
  #isAnswered = false;
  #wake: () => void = () => undefined;

  constructor(request: ClientRequest, answer: Promise<IncomingMessage>) {
    this.request = request;
    const onAnswer = (): void => {
      this.#isAnswered = true;
      this.#wake();
    };
    answer.then(onAnswer, onAnswer);
  }

  /** The result of `work`, or undefined as soon as the engine has responded. */
  async next<T>(work: Promise<T>): Promise<T | undefined> {
    const { promise, resolve, reject } = Promise.withResolvers<T | undefined>();
    this.#wake = () => resolve(undefined);
    if (this.#isAnswered) resolve(undefined);
    // Waiting on a failed request rejects too; the response has the better message.
    work.then(resolve, (error: unknown) => (this.request.destroyed ? resolve(undefined) : reject(error)));
    return await promise;
  }
}

function idleError(call: EngineCall, milliseconds: number): AppError {
  return new AppError('unavailable', `${call.action}: nothing moved for ${formatSeconds(milliseconds)}`, {
    hint: 'The engine or the storage below the volume hangs: look at the log of the engine.',
  });
}

function joinMountpoint(path: ByteString): ByteString {
  return path === '' ? helperMountpoint : `${helperMountpoint}/${path}`;
}

export function archiveUrl(container: string, place: ByteString): string {
  return `/containers/${container}/archive?path=${encodeArchivePath(place)}`;
}
