import type { HealthchecksChannel } from './channel.ts';
import type { Happening } from './notifier.ts';
import type { Ping } from './senders/ping.ts';

export interface PingFacts {
  /** Work on these has begun. */
  readonly begun?: readonly string[] | undefined;
  readonly happenings?: readonly Happening[] | undefined;
}

/** The pings that a watch is to get, one a volume when it is so configured; pure. */
export function planPings(channel: HealthchecksChannel, { begun = [], happenings = [] }: PingFacts): Ping[] {
  const own = happenings.filter(({ work, what }) => channel.works.includes(work) && what !== 'anomaly');
  if (!channel.perVolume) {
    return [
      ...(begun.length > 0 ? [{ sign: 'start', subject: undefined, text: begun.join('\n') } as const] : []),
      ...(own.length > 0
        ? [{ sign: signOf(own), subject: undefined, text: own.map(lineOf).join('\n') }]
        : []),
    ];
  }
  return [
    ...begun.map((subject): Ping => ({ sign: 'start', subject, text: '' })),
    ...own.map((happening): Ping => ({
      sign: signOf([happening]),
      subject: happening.subject,
      text: lineOf(happening),
    })),
  ];
}

/** One that failed makes all of them fail. */
function signOf(happenings: readonly Happening[]): 'success' | 'fail' {
  return happenings.every(({ what }) => what === 'good') ? 'success' : 'fail';
}

function lineOf({ subject, message }: Happening): string {
  return `${subject}: ${message}`;
}
