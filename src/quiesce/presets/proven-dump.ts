import { awaitedLater } from '../../lib/awaited-later.ts';
import { AppError } from '../../model/errors.ts';
import { quote } from '../../model/quote.ts';
import {
  asExec,
  clientFailed,
  type ClientPlace,
  type ClientRequest,
  isMissingProgram,
} from './run-client.ts';

export interface DumpProof {
  /** The dumped subject, for messages: `the database "shop"`. */
  readonly subject: string;
  /** The dump's first bytes; undefined when unknown. */
  readonly start?: Uint8Array | undefined;
  /** Decides by the last bytes whether the dump is whole. */
  readonly isWhole: (tail: Buffer) => boolean;
  /** How many last bytes `isWhole` needs. */
  readonly tailBytes: number;
  /** What a client writes into the dump when it fails and goes on; not longer than the tail. */
  readonly errorMark?: string | undefined;
}

/**
 * A client's output, proven to be complete. It throws at its end when the client failed, when it printed
 * nothing, or when the end of a whole dump is missing.
 */
export async function* provenDump(
  place: ClientPlace,
  request: ClientRequest,
  proof: DumpProof,
): AsyncGenerator<Uint8Array, void, undefined> {
  const action = `Cannot dump ${proof.subject}`;
  const run = await place.containers.exec(place.container.id, asExec(request), { signal: place.signal });
  // Awaited when the output is over.
  awaitedLater(run.ended);
  let tail = Buffer.alloc(0);
  let head = Buffer.alloc(0);
  let bytes = 0;
  let hasErrors = false;
  for await (const chunk of run.stdout) {
    bytes += chunk.length;
    if (proof.start && head.length < proof.start.length) {
      head = Buffer.concat([head, chunk.subarray(0, proof.start.length - head.length)]);
    }
    const both = Buffer.concat([tail, chunk]);
    if (proof.errorMark !== undefined && both.includes(proof.errorMark)) hasErrors = true;
    const over = Math.max(0, both.length - proof.tailBytes);
    if (over > 0) yield both.subarray(0, over);
    tail = Buffer.from(both.subarray(over));
  }
  const { exitCode, stderr } = await run.ended;
  if (exitCode !== 0) {
    const result = { exitCode, stderr, stdout: tail.toString('utf8') };
    const failed = clientFailed({ ...request, ...result, action, container: place.container.name });
    if (!isMissingProgram(result)) throw failed;
    throw new AppError('unsupported', failed.message, {
      detail: failed.detail ?? result.stdout,
      hint: 'The image has no such program: leave the dump out, or use an image that has it.',
    });
  }
  const reason = hasErrors ? 'tells of errors' : incomplete({ proof, bytes, head, tail });
  if (reason !== undefined) {
    const program = `${quote(request.command[0] ?? '')} in ${quote(place.container.name)}`;
    throw new AppError('failed', `${action}: what ${program} printed ${reason}`, {
      detail: stderr.trimEnd().split('\n').slice(-5).join('\n') || undefined,
      hint: 'Nothing was recorded. Look at the log of the container, and run the backup again.',
    });
  }
  yield tail;
}

interface Printed {
  readonly proof: DumpProof;
  readonly bytes: number;
  readonly head: Buffer;
  readonly tail: Buffer;
}

function incomplete({ proof, bytes, head, tail }: Printed): string | undefined {
  if (bytes === 0) return 'is empty';
  if (proof.start && !head.equals(proof.start)) return 'is no dump';
  return proof.isWhole(tail) ? undefined : 'is cut short';
}

/**
 * True for a text dump whose last significant line is `mark`. Rows of data are lines too, so only `mayFollow`
 * may come after the mark.
 */
export function endsWithLine(mark: string, mayFollow: RegExp = /^(?:--)?$/): (tail: Buffer) => boolean {
  return (tail) => {
    const lines = tail.toString('latin1').split(/\r?\n/);
    const last = lines.findLast((line) => !mayFollow.test(line));
    return last?.startsWith(mark) === true;
  };
}
