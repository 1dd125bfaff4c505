import type { EngineClient } from './engine-client.ts';
import type { EngineEvent, EngineInfo } from './engine-types.ts';

const eventsDeadlineMs = 20_000;
/** Podman leaves out what it has not sent when that time is over, so it must not be over at once. */
const podmanTakesMs = 3000;
/** As exact as the clocks of two machines are compared. */
const clockSlackMs = 1000;

/**
 * An engine that comes back ends what it finds running by a stop of its own, and tells of it as of any other. So it has to
 * remember something from before that time as well.
 */
export async function wasAskedToEnd(
  client: EngineClient,
  { id, sinceMs }: { readonly id: string; readonly sinceMs: number },
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const aheadMs = await clockAheadMs(client, signal);
  const fromMs = sinceMs + aheadMs;
  const untilMs = Date.now() + aheadMs + podmanTakesMs;
  const events = await readEvents(client, { sinceMs: 0, untilMs, filters: {} }, signal);
  const [oldest] = events;
  if (oldest === undefined || timeOf(oldest) > fromMs - clockSlackMs) return false;
  return events.some((event) => event.Actor?.ID === id && isAskedToEnd(event) && timeOf(event) > fromMs);
}

function timeOf({ timeNano, time }: EngineEvent): number {
  return typeof timeNano === 'number' ? timeNano / 1e6 : (time ?? Number.POSITIVE_INFINITY) * 1000;
}

/** Signals have many other uses: only these end what does not listen. */
function isAskedToEnd({ Action, Actor }: EngineEvent): boolean {
  if (Action === 'stop') return true;
  return Action === 'kill' && ['2', '3', '9', '15'].includes(Actor?.Attributes?.['signal'] ?? '');
}

/** Containers of tasks are removed when the service is scaled down: what is left of them is what the engine remembers. */
export async function wereTasksKilled(
  client: EngineClient,
  { service, sinceMs }: { readonly service: string; readonly sinceMs: number },
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const aheadMs = await clockAheadMs(client, signal);
  const label = [`com.docker.swarm.service.name=${service}`];
  const question = {
    sinceMs: sinceMs + aheadMs,
    untilMs: Date.now() + aheadMs,
    filters: { type: ['container'], event: ['die'], label },
  };
  const ends = await readEvents(client, question, signal);
  return ends.some(({ Actor }) => Actor?.Attributes?.['exitCode'] === killedExit);
}

/** 128 and the number of SIGKILL. */
const killedExit = '137';

interface EventQuestion {
  /** By the engine's clock. */
  readonly sinceMs: number;
  /** The same. The answer comes when that time is over. */
  readonly untilMs: number;
  readonly filters: Readonly<Record<string, readonly string[]>>;
}

/** What the engine remembers, oldest first: a few hundred events, and none from before it was started. */
async function readEvents(
  client: EngineClient,
  { sinceMs, untilMs, filters }: EventQuestion,
  signal: AbortSignal | undefined,
): Promise<readonly EngineEvent[]> {
  const query = new URLSearchParams({
    since: String(Math.max(0, Math.floor(sinceMs / 1000))),
    until: (untilMs / 1000).toFixed(3),
    filters: JSON.stringify(filters),
  });
  return await client.jsonLines<EngineEvent>({
    method: 'GET',
    path: `/events?${query.toString()}`,
    action: 'Cannot ask what has happened to containers',
    deadlineMs: eventsDeadlineMs,
    signal,
  });
}

export async function clockAheadMs(client: EngineClient, signal: AbortSignal | undefined): Promise<number> {
  const before = Date.now();
  const { SystemTime: time } = await client.json<EngineInfo>({
    method: 'GET',
    path: '/info',
    action: "Cannot ask for the engine's time",
    signal,
  });
  return time === undefined || time === null ? 0 : Date.parse(time) - (before + Date.now()) / 2;
}
