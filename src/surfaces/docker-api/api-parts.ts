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
  /** Sizes of volumes, without walking what has not changed. */
  readonly sizes: Pick<WatchedSizes, 'measure'>;
  /** One prune at a time, as in the engine. */
  readonly pruning: { isRunning: boolean };
  /** This state folder's id, stable over restarts. */
  readonly identity: string;
}

/** One request. */
export interface ApiCall {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** The API version that the client asked for. */
  readonly version: string;
  readonly query: URLSearchParams;
  /** The volume's name in the path; '' for none. */
  readonly name: string;
  /** Aborted when the client disconnects. */
  readonly signal: AbortSignal;
}
