import type { Scanned } from './scan-directory.ts';

/** What grows by asynchronous I/O (databases, images of disks) is this large soon. */
const largeBytes = 64 << 10;
/** What was written to a moment ago is likely to be written to again. */
const youngSeconds = 300;

/**
 * Whether a file may become longer without a word to whoever watches its directory, so that it has to be asked each
 * time: asynchronous I/O (`io_submit`) tells nobody, and a write through another name tells the other name's directory.
 */
export function mustAsk(
  { bytes, links, modifiedAt }: Pick<Scanned, 'bytes' | 'links' | 'modifiedAt'>,
  nowSeconds: number,
): boolean {
  return bytes >= largeBytes || links > 1 || Math.abs(nowSeconds - modifiedAt) <= youngSeconds;
}
