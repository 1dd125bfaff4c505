import type { AppError } from '../../../model/errors.ts';
import type { ByteRange } from '../store.ts';
import { cutRange, tooShort } from '../store-errors.ts';
import type { HttpResponse } from './transport.ts';

export interface WantedContent {
  /** Undefined is the whole file. */
  readonly range: ByteRange | undefined;
  readonly location: string;
  /** The file, for people. */
  readonly label: string;
  /** What an answer means that brings nothing. */
  readonly explain: (response: HttpResponse) => AppError;
}

/** The header that asks for a range, which is not empty: no range of HTTP is. */
export function rangeHeaders(range: ByteRange | undefined): Record<string, string> {
  return range === undefined ? {} : { Range: `bytes=${range.offset}-${range.offset + range.length - 1}` };
}

/** What the answer to a request for a file that is there brings. */
export function loadedContent(response: HttpResponse, wanted: WantedContent): Buffer {
  const { range, location, label, explain } = wanted;
  if (response.status === 416) throw tooShort(location, label);
  if (response.status !== 200 && response.status !== 206) throw explain(response);
  if (!range) return response.body;
  // A server that knows no ranges sends it all.
  const cut = cutRange(response.body, range, response.status === 206 ? range.offset : 0);
  if (!cut) throw tooShort(location, label);
  return cut;
}
