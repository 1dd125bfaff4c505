import { setTimeout as sleep } from 'node:timers/promises';
import type { Catalog } from '../../catalog/catalog.ts';
import { knownError } from '../../lib/known-error.ts';
import { AppError } from '../../model/errors.ts';
import { quote } from '../../model/quote.ts';
import type { AuditLog } from '../log/audit-log.ts';
import { withoutSecrets } from '../log/without-secrets.ts';
import type { Channel, HealthchecksChannel } from './channel.ts';
import { wantedBy } from './choose.ts';
import { type ComposeFacts, composeMessage, gravity, testMessage } from './compose.ts';
import type { BackupRun, Happening, Notifier, SendResult } from './notifier.ts';
import { admit, decideNotices, rememberTold, returnAdmission } from './notice-memory.ts';
import type { Notice } from './plan-notice.ts';
import { type OpenRun, planPings, planStart, type StillFailing, type WatchedEvent } from './plan-pings.ts';
import { send } from './send.ts';
import { type Ping, sendPing } from './senders/ping.ts';
import { tryToSend } from './try-to-send.ts';

export interface NotifierOptions {
  /** Called each time there is something to send. */
  channels(): Promise<readonly Channel[]>;
  readonly hostname: string;
  /** The repository in use, by name or location; undefined for the default one. */
  readonly repository?: string | undefined;
  readonly now: () => number;
  readonly env: Readonly<Record<string, string | undefined>>;
  catalog(): Promise<Catalog>;
  readonly log: AuditLog;
  readonly onWarning?: ((message: string) => void) | undefined;
  /** How long happenings are gathered before they are sent. Default: 5 s. */
  readonly gatherMs?: number | undefined;
  /** How long closing waits for messages under way. Default: 20 s. */
  readonly closeMs?: number | undefined;
  /** The interval after which the same failure is sent again. Default: a day. */
  readonly remindMs?: number | undefined;
}

/** Reads the channels only when there is something to send. Dispose it: what is gathered by then is sent, within `closeMs`. */
export function openNotifier(options: NotifierOptions): Notifier {
  return new GatheringNotifier(options);
}

class GatheringNotifier implements Notifier {
  readonly #options: NotifierOptions;
  readonly #closing = new AbortController();
  #gathered: WatchedEvent[] = [];
  readonly #runs = new Set<OpenRun>();
  readonly #failing = new Map<string, StillFailing>();
  #timer: NodeJS.Timeout | undefined;
  /** A queue per channel, so that a start is sent before its end. */
  readonly #lines = new Map<string, Promise<unknown>>();
  #work: Promise<void> = Promise.resolve();

  constructor(options: NotifierOptions) {
    this.#options = options;
  }

  begin({ subjects, policy }: BackupRun): Disposable {
    const run: OpenRun = { subjects, policy, outcomes: new Map() };
    this.#runs.add(run);
    this.#next(async (channels) => {
      for (const channel of pingsOf(channels))
        for (const ping of planStart(channel, run)) void this.#ping(channel, ping);
    });
    return { [Symbol.dispose]: () => this.#end(run) };
  }

  #end(run: OpenRun): void {
    if (this.#runs.delete(run)) this.#gather({ kind: 'ended', run });
  }

  tell(happenings: readonly Happening[]): void {
    for (const happening of happenings.map(presentable)) {
      const { work, subject } = happening;
      const isOf = (one: OpenRun): boolean => one.subjects.includes(subject) && !one.outcomes.has(subject);
      const runs = work === 'backup' && happening.what !== 'anomaly' ? [...this.#runs].filter(isOf) : [];
      const run = runs.find(({ policy }) => policy === happening.policy) ?? runs[0];
      run?.outcomes.set(subject, happening);
      this.#gather({ kind: 'happened', happening, run });
    }
  }

  #gather(event: WatchedEvent): void {
    this.#gathered.push(event);
    this.#timer ??= setTimeout(() => this.#flush(), this.#options.gatherMs ?? 5000).unref();
  }

  async test(
    name: string | undefined,
    { signal }: { readonly signal?: AbortSignal | undefined } = {},
  ): Promise<SendResult[]> {
    const channels = chosen(await this.#options.channels(), name);
    const message = testMessage(this.#facts());
    const { env } = this.#options;
    const all = { env, signal: signal ?? new AbortController().signal };
    return await Promise.all(
      channels.map((channel) =>
        tryToSend({
          ...all,
          channel: { ...channel, retryForMs: Math.min(channel.retryForMs, 10_000) },
          attempt: (context) =>
            isWatch(channel)
              ? sendPing(
                  channel,
                  { sign: 'success', subject: channel.perVolume ? 'test' : undefined, text: message.title },
                  context,
                )
              : send(channel, message, context),
        }),
      ),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const run of this.#runs) this.#end(run);
    this.#flush();
    const finished = this.#work.then(() => Promise.all(this.#lines.values()));
    const { signal } = this.#closing;
    // A close that is hurried ends the wait.
    const limit = sleep(this.#options.closeMs ?? 20_000, undefined, { signal, ref: false }).catch(() => {});
    await Promise.race([finished, limit]);
    this.#closing.abort();
    await finished;
  }

  #flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const events = this.#gathered;
    this.#gathered = [];
    if (events.length > 0) this.#next((channels) => this.#tellAll(channels, events));
  }

  /** Runs steps one after the other; never throws. */
  #next(work: (channels: readonly Channel[]) => Promise<void>): void {
    this.#work = this.#work.then(async () => {
      try {
        const channels = await this.#options.channels();
        if (channels.length > 0) await work(channels);
      } catch (error) {
        const { message, detail = '' } = knownError(error);
        const [first = ''] = detail.split('\n');
        this.#options.onWarning?.(`What happened could not be reported: ${message}${first && `: ${first}`}`);
      }
    });
  }

  async #tellAll(channels: readonly Channel[], events: readonly WatchedEvent[]): Promise<void> {
    for (const channel of pingsOf(channels)) {
      const failing: StillFailing = this.#failing.get(channel.name) ?? new Map();
      this.#failing.set(channel.name, failing);
      const pings = planPings(channel, events, { failing, nowMs: this.#options.now() });
      for (const ping of pings) void this.#ping(channel, ping);
    }
    const happenings = events.flatMap((event) => (event.kind === 'happened' ? [event.happening] : []));
    const plans = await decideNotices(this.#options, happenings);
    const notices = plans.flatMap(({ notice }) => notice ?? []);
    const sent = await Promise.all(
      channels.filter((channel) => !isWatch(channel)).map((channel) => this.#send(channel, notices)),
    );
    await rememberTold(this.#options, plans, new Set(sent.flat()));
  }

  /** Returns the notices that were delivered. */
  async #send(channel: Channel, notices: readonly Notice[]): Promise<readonly Notice[]> {
    let wanted = wantedBy(channel, notices);
    for (const event of gravity) {
      if (!wanted.some((notice) => notice.event === event)) continue;
      const kind = { channel: channel.name, event };
      const { isAdmitted, remark } = await admit(this.#options, kind);
      if (!isAdmitted) {
        wanted = wanted.filter((notice) => notice.event !== event);
        continue;
      }
      const message = composeMessage(wanted, { ...this.#facts(), remark }, channel);
      const { isSent } = await this.#line(channel, (context) => send(channel, message, context));
      if (isSent) return wanted;
      await returnAdmission(this.#options, kind);
      return [];
    }
    return [];
  }

  #facts(): ComposeFacts {
    const { hostname, repository, now } = this.#options;
    return { host: hostname, repository, nowMs: now() };
  }

  async #ping(channel: HealthchecksChannel, ping: Ping): Promise<void> {
    await this.#line(channel, (context) => sendPing(channel, ping, context));
  }

  async #line(channel: Channel, attempt: Parameters<typeof tryToSend>[0]['attempt']): Promise<SendResult> {
    const before = this.#lines.get(channel.name) ?? Promise.resolve();
    const { env } = this.#options;
    const { signal } = this.#closing;
    const sending = before.then(async () => {
      const result = await tryToSend({ channel, env, signal, attempt });
      if (!result.isSent) await this.#complain(result);
      return result;
    });
    this.#lines.set(channel.name, sending);
    return await sending;
  }

  async #complain({ channel, message, attempts }: SendResult): Promise<void> {
    const text = `The notification over ${quote(channel)} was not sent: ${message ?? ''}`;
    this.#options.onWarning?.(text);
    const tries = attempts > 1 ? ` (${attempts} attempts)` : '';
    await this.#options.log.record([{ kind: 'notify', outcome: 'failed', message: `${text}${tries}` }]);
  }
}

/** Text of an engine or a program may be long, and hold secrets. */
function presentable(happening: Happening): Happening {
  const { detail } = happening;
  return detail === undefined ? happening : { ...happening, detail: withoutSecrets(detail.trim()) };
}

function isWatch(channel: Channel): channel is HealthchecksChannel {
  return channel.type === 'healthchecks' || channel.type === 'uptime-kuma';
}

function pingsOf(channels: readonly Channel[]): HealthchecksChannel[] {
  return channels.filter(isWatch);
}

function chosen(channels: readonly Channel[], name: string | undefined): readonly Channel[] {
  const hint = 'Channels stand in holdfast.yaml under "notify".';
  if (channels.length === 0) throw new AppError('not-found', 'No notifications are configured', { hint });
  if (name === undefined) return channels;
  const channel = channels.find((candidate) => candidate.name === name);
  if (channel !== undefined) return [channel];
  const known = channels.map((one) => quote(one.name)).join(', ');
  throw new AppError('not-found', `There is no channel ${quote(name)}`, { hint: `There is ${known}.` });
}
