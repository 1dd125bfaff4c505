import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ManagedVolumes, WatchedSizes } from '../../app/app.ts';
import type { EventLog } from './event-log.ts';
import type { VolumeTexts } from './volume-texts.ts';

export type ApiVolumes = Pick<
  ManagedVolumes,
  'create' | 'find' | 'list' | 'remove' | 'lastHealth' | 'subscribe'
>;

/** What the routes work with. */
export interface ApiParts {
  readonly volumes: ApiVolumes;
  readonly events: EventLog;
  readonly texts: VolumeTexts;
  /** How large volumes are, without a walk of what has not changed. */
  readonly sizes: Pick<WatchedSizes, 'measure'>;
  /** One prune at a time, as in the engine. */
  readonly pruning: { isRunning: boolean };
  /** An id of this state folder, stable over restarts. */
  readonly identity: string;
}

/** One request. */
export interface ApiCall {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** Of the API, as the client asked for it. */
  readonly version: string;
  readonly query: URLSearchParams;
  /** The volume's name in the path; '' for none. */
  readonly name: string;
  /** Aborted when the client is gone. */
  readonly signal: AbortSignal;
}
