import type { Room } from '../../lib/room.ts';
import type { Pace } from '../store.ts';

export interface HttpRequest {
  readonly method: 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE';
  /** Path and query, as they stand in the request. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly pace?: Pace | undefined;
  /** Where the body of a good answer may lie. */
  readonly room?: Room | undefined;
}

export interface HttpResponse {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body: Buffer;
}

/**
 * How requests reach a server. Any answer is an answer; what brings none throws `unavailable`, or `denied` when the
 * server cannot show who it is.
 */
export interface HttpTransport extends AsyncDisposable {
  request(request: HttpRequest): Promise<HttpResponse>;
}
