import { createHmac, timingSafeEqual } from 'node:crypto';
import type { LogAnchor } from '../../catalog/catalog.ts';
import { type LogEntry, logKinds } from '../../model/log-entry.ts';

/** The `previous` of the first entry. */
export const startOfChain = '0'.repeat(64);

export interface ChainPlace {
  readonly sequence: number;
  readonly mac: string;
}

export type Unsealed = Omit<LogEntry, 'mac'>;

/** An entry as a line, without the line end. The signature covers exactly the text that precedes it. */
export function lineOf(entry: Unsealed, key: Uint8Array): { readonly line: string; readonly mac: string } {
  const { sequence, time, kind, outcome, volume, snapshot, repository, message, by, previous } = entry;
  const fields = {
    sequence,
    time,
    kind,
    outcome,
    volume: volume ?? null,
    snapshot: snapshot ?? null,
    repository: repository ?? null,
    message: message ?? null,
    by,
    previous,
  };
  const text = JSON.stringify(fields).slice(0, -1);
  const mac = macOf(text, key);
  return { line: `${text},"mac":"${mac}"}`, mac };
}

const ending = /,"mac":"([0-9a-f]{64})"\}$/;

/** The entry of a line, genuine or not; undefined for a line that is no entry. */
export function readLine(line: string): LogEntry | undefined {
  const mac = ending.exec(line)?.[1];
  if (mac === undefined) return undefined;
  try {
    const value: unknown = JSON.parse(line);
    return isEntry(value) ? withoutNulls(value) : undefined;
  } catch {
    return undefined;
  }
}

/** True when the line was written with the key. */
export function isGenuine(line: string, key: Uint8Array): boolean {
  const found = ending.exec(line);
  const mac = found?.[1];
  return mac !== undefined && isSame(macOf(line.slice(0, found?.index), key), mac);
}

/** Proves that an anchor was set with the key. */
export function sealOf({ sequence, mac }: ChainPlace, key: Uint8Array): string {
  return macOf(`anchor ${sequence} ${mac}`, key);
}

export function isSealed(anchor: LogAnchor, key: Uint8Array): boolean {
  return isSame(sealOf(anchor, key), anchor.seal);
}

function macOf(text: string, key: Uint8Array): string {
  return createHmac('sha256', key).update(text).digest('hex');
}

function isSame(a: string, b: string): boolean {
  return a.length === b.length && timingSafeEqual(Buffer.from(a), Buffer.from(b));
}

const outcomes: readonly unknown[] = ['good', 'partial', 'failed', 'cancelled'];
const kinds: readonly unknown[] = logKinds;

function isEntry(value: unknown): value is LogEntry {
  if (typeof value !== 'object' || value === null) return false;
  const { sequence, time, by, previous, kind, outcome, volume, snapshot, repository, message } =
    value as Readonly<Record<string, unknown>>;
  return (
    Number.isSafeInteger(sequence) &&
    [time, by, previous].every((field) => typeof field === 'string') &&
    [volume, snapshot, repository, message].every((field) => field === null || typeof field === 'string') &&
    kinds.includes(kind) &&
    outcomes.includes(outcome)
  );
}

function withoutNulls(entry: LogEntry): LogEntry {
  const { volume, snapshot, repository, message } = entry;
  return {
    ...entry,
    volume: volume ?? undefined,
    snapshot: snapshot ?? undefined,
    repository: repository ?? undefined,
    message: message ?? undefined,
  };
}
