import type { LogAnchor, UnwrittenLog } from '../../catalog/catalog.ts';
import { type ChainPlace, startOfChain } from './chain.ts';
import type { LogTail } from './read-tail.ts';
import { localTime } from '../../model/local-time.ts';

/** Why entries are missing: the first three are no attack. */
export type GapReason =
  | 'interrupted'
  | 'unwritten'
  | 'no-anchor'
  | 'damaged'
  | 'missing'
  | 'replaced'
  | 'new-key';

export interface Gap {
  readonly reason: GapReason;
  readonly message: string;
}

export interface AppendPlan {
  /** The place that the next entry follows. */
  readonly after: ChainPlace;
  /** To be logged before any other entry. */
  readonly gaps: readonly Gap[];
}

export interface AppendFacts {
  readonly tail: LogTail;
  /** Undefined when the catalog has none that the key proves. */
  readonly anchor: LogAnchor | undefined;
  readonly unwritten: UnwrittenLog | undefined;
  readonly isNewKey: boolean;
  /** The catalog has an anchor that the key does not prove. */
  readonly isAnchorForged: boolean;
}

/** Where the chain goes on, and which gaps to log first; pure. */
export function planAppend(facts: AppendFacts): AppendPlan {
  const { tail, anchor, unwritten } = facts;
  const last = tail.last ?? { sequence: 0, mac: startOfChain };
  const isCut = anchor !== undefined && anchor.sequence > last.sequence;
  const gaps: Gap[] = [];
  const tell = (reason: GapReason, message: string): void => void gaps.push({ reason, message });
  if (tail.tornBytes > 0)
    tell(
      'interrupted',
      `An entry was not finished when the program or the machine stopped: ${tail.tornBytes} bytes.`,
    );
  if (tail.isDamaged) tell('damaged', 'The last lines of the log are no entries that this key has signed.');
  if (isCut) tell('missing', `Entries ${last.sequence + 1} to ${anchor.sequence} are missing.`);
  else if (anchor !== undefined && anchor.sequence === last.sequence && anchor.mac !== last.mac)
    tell('replaced', `Entry ${last.sequence} is not the one that was written.`);
  if (facts.isNewKey && tail.segment !== undefined)
    tell('new-key', "The log's key was lost and made anew: entries before this cannot be verified.");
  else if (facts.isAnchorForged)
    tell('missing', 'The catalog named an end of the log that this key has not signed.');
  else if (anchor === undefined && last.sequence > 0)
    tell('no-anchor', 'The catalog did not know where the log ended: entries may be missing at its end.');
  if (unwritten !== undefined)
    tell(
      'unwritten',
      `${unwritten.count} ${unwritten.count === 1 ? 'entry' : 'entries'} could not be written since ${localTime(unwritten.since)}.`,
    );
  return { after: isCut ? anchor : last, gaps };
}

/** The message of a gap entry. It begins with the reason, which `isHarmless` reads back. */
export function gapMessage({ reason, message }: Gap): string {
  return `${reason}: ${message}`;
}

const harmless: readonly string[] = ['interrupted', 'unwritten', 'no-anchor'];

/** True for a gap that a full disk, a stopped machine or a lost catalog explains. */
export function isHarmless(message: string | undefined): boolean {
  return harmless.includes(message?.split(':')[0] ?? '');
}
