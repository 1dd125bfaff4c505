import { RestStore } from '../rest/rest-store.ts';
import type { Store } from '../store.ts';
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants } from 'node:http2';
import { Duplex, type Readable, type Writable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { userEnvironment } from '../../../lib/child-environment.ts';
import { AppError, errnoOf } from '../../../model/errors.ts';
import type { RcloneAddress } from '../address.ts';
import { ChildHold } from '../child-hold.ts';
import { declaredBytes, readBody, writeBody } from '../http/bodies.ts';
import {
  connectionError,
  type HttpRequest,
  type HttpResponse,
  type HttpTransport,
} from '../http/transport.ts';
import { cancelled } from '../store-errors.ts';

/** A repository on any storage that rclone supports, over rclone's protocol for restic. */
export function openRcloneStore(address: RcloneAddress): Store {
  return new RestStore(new RcloneProcess(address), { location: address.text, root: '/', headers: {} });
}

const defaultStallMs = 120_000;
const endMs = 5000;
const stderrLimit = 4096;
/** Large windows, since a pipe has no network in which data could queue. */
const windowBytes = 4 * 1024 * 1024;

interface Running {
  readonly child: ChildProcessByStdio<Writable, Readable, Readable>;
  readonly session: ClientHttp2Session;
  readonly hold: ChildHold;
  readonly words: () => string;
}

/** Sends requests to our own `rclone serve restic --stdio`: HTTP/2 on its standard input and output. */
class RcloneProcess implements HttpTransport {
  readonly #address: RcloneAddress;
  #running: Running | undefined;
  /** Ends of the processes whose connection is gone. */
  readonly #ending = new Set<Promise<void>>();
  #hasAnswered = false;

  constructor(address: RcloneAddress) {
    this.#address = address;
  }

  async request(request: HttpRequest): Promise<HttpResponse> {
    if (request.signal?.aborted) throw cancelled();
    const running = (this.#running ??= this.#start());
    using _hold = running.hold.take();
    let stream: ClientHttp2Stream | undefined;
    try {
      stream = openStream(running.session, request);
      const response = await answerTo(stream, request, this.#address.stallMs ?? defaultStallMs);
      this.#hasAnswered = true;
      return response;
    } catch (error) {
      stream?.close(constants.NGHTTP2_CANCEL);
      if (request.signal?.aborted) throw cancelled(error);
      throw await this.#explain(running, error);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const running = this.#running;
    this.#running = undefined;
    if (running) await end(running);
    await Promise.all(this.#ending);
  }

  #start(): Running {
    const { program, remote, configFile } = this.#address;
    // By default some services keep deleted files as versions, so that a prune would free nothing.
    const args = ['serve', 'restic', '--stdio', '--b2-hard-delete'];
    if (configFile !== undefined) args.push('--config', configFile);
    // A process group of its own: Ctrl-C at the terminal must not end rclone before we have finished our
    // cleanup through it.
    const child = spawn(program, [...args, '--', remote], {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: userEnvironment(),
      detached: true,
    });
    let said = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => (said = (said + text).slice(-stderrLimit)));
    const duplex = new PipeDuplex(child);
    const session = connect('http://localhost', {
      createConnection: () => duplex,
      settings: { initialWindowSize: windowBytes },
    });
    // Each request fails by itself, and says why.
    session.on('error', () => undefined);
    child.on('error', (error) => duplex.destroy(error));
    const running = { child, session, hold: new ChildHold(child), words: () => said };
    session.on('close', () => {
      if (this.#running === running) this.#running = undefined;
      duplex.destroy();
      // A process that hangs must not stay for ever.
      const ending = end(running)
        .catch(() => undefined)
        .finally(() => this.#ending.delete(ending));
      this.#ending.add(ending);
    });
    return running;
  }

  /** A process that dies before its first response is misconfigured; later, starting it again may help. */
  async #explain(running: Running, error: unknown): Promise<AppError> {
    const { text, program } = this.#address;
    if (errnoOf(error) === 'ENOENT' || running.child.pid === undefined) {
      return new AppError(
        'not-found',
        `Cannot reach repository "${text}": there is no program "${program}"`,
        {
          hint: 'Install rclone, or name it with the option "program=/path/rclone".',
          cause: error,
        },
      );
    }
    if (this.#hasAnswered) return connectionError(text, error);
    const ended = await Promise.race([once(running.child, 'exit').then(() => true), sleep(500, false)]);
    if (!ended && running.child.exitCode === null) return connectionError(text, error);
    const words = lastWords(running.words());
    const isUnknown = /didn't find section in config file|not found in config/i.test(words);
    return new AppError(isUnknown ? 'not-found' : 'failed', `rclone cannot open "${text}": ${words}`, {
      hint: isUnknown
        ? 'Set the remote up with "rclone config"; "rclone listremotes" names those that are.'
        : undefined,
      cause: error,
    });
  }
}

function openStream(
  session: ClientHttp2Session,
  { method, path, headers, body }: HttpRequest,
): ClientHttp2Stream {
  const lower = Object.entries(headers ?? {}).map(([name, value]) => [name.toLowerCase(), value]);
  return session.request(
    {
      ':method': method,
      ':path': path,
      ...Object.fromEntries(lower),
      ...(body !== undefined && { 'content-length': String(body.length) }),
    },
    { endStream: body === undefined },
  );
}

function answerTo(stream: ClientHttp2Stream, request: HttpRequest, stallMs: number): Promise<HttpResponse> {
  const { method, body, signal, pace, room } = request;
  let hasAnswer = false;
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(cancelled());
    signal?.addEventListener('abort', onAbort, { once: true });
    stream.setTimeout(stallMs, () => reject(new Error(`it has not said a word for ${stallMs / 1000} s`)));
    stream.on('error', reject);
    stream.on('close', () => {
      signal?.removeEventListener('abort', onAbort);
      if (!hasAnswer) reject(new Error('the connection broke'));
    });
    stream.on('response', (raw) => {
      hasAnswer = true;
      const status = Number(raw[':status']);
      const headers: Record<string, string | undefined> = {};
      for (const [name, value] of Object.entries(raw))
        headers[name] = value === undefined ? undefined : String(value);
      const isGood = body === undefined && status >= 200 && status < 300;
      const length = declaredBytes(method, status, headers['content-length']);
      readBody(stream, length, isGood ? { pace, signal, room } : { signal }).then(
        (content) => resolve({ status, headers, body: content }),
        reject,
      );
    });
    if (body !== undefined) writeBody(stream, body, { pace, signal }).catch(reject);
  });
}

/** Ends the process politely, then by force. */
async function end({ child, session, hold }: Running): Promise<void> {
  using _hold = hold.take();
  session.destroy();
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
  const exited = once(child, 'exit');
  child.stdin.destroy();
  if ((await Promise.race([exited, sleep(endMs, 'late', { ref: false })])) !== 'late') return;
  child.kill('SIGKILL');
  await exited;
}

function lastWords(text: string): string {
  return (
    text
      .trim()
      .split('\n')
      .slice(-2)
      .join(' ')
      .replaceAll(/^\d{4}\/\d\d\/\d\d \d\d:\d\d:\d\d /gm, '') || 'it ended'
  );
}

/** The two pipes of a process as one connection. Destroying it closes the process's input. */
class PipeDuplex extends Duplex {
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>;

  constructor(child: ChildProcessByStdio<Writable, Readable, Readable>) {
    super({ allowHalfOpen: false });
    this.#child = child;
    child.stdin.on('error', (error) => this.destroy(error));
    child.stdout.on('data', (chunk: Buffer) => {
      if (!this.push(chunk)) child.stdout.pause();
    });
    child.stdout.on('end', () => this.push(null));
    child.stdout.on('error', (error) => this.destroy(error));
  }

  override _read(): void {
    this.#child.stdout.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: (error?: Error | null) => void): void {
    this.#child.stdin.write(chunk, callback);
  }

  override _final(callback: (error?: Error | null) => void): void {
    this.#child.stdin.end(callback);
  }

  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    this.#child.stdin.destroy();
    this.#child.stdout.destroy();
    callback(error);
  }
}
