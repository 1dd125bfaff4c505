import type { EngineClient } from './engine-client.ts';
import type { EngineEvent, EngineInfo } from './engine-types.ts';

const eventsDeadlineMs = 20_000;
/** Podman omits events that it has not sent by the end of the period, so that must not end at once. */
const podmanTakesMs = 3000;
/** The accuracy of comparing two machines' clocks. */
const clockSlackMs = 1000;

/**
 * A restarted engine stops the containers that it finds running, with the same events as any other stop. So
 * it must also remember something from before that time.
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

/** Signals have many other uses: only these end a process that does not handle them. */
function isAskedToEnd({ Action, Actor }: EngineEvent): boolean {
  if (Action === 'stop') return true;
  return Action === 'kill' && ['2', '3', '9', '15'].includes(Actor?.Attributes?.['signal'] ?? '');
}

/** Scaling a service down removes its task containers, so only the engine's events are left. */
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
  /** By the engine's clock, too. The response ends at that time. */
  readonly untilMs: number;
  readonly filters: Readonly<Record<string, readonly string[]>>;
}

/** The engine's events, oldest first: a few hundred, and none from before its start. */
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
