import type { LogEntry, LogKind } from '../model/log-entry.ts';
import type { LogFilter, LogProblem, LogVerification } from './log/audit-log.ts';
import type { SendResult } from './notify/notifier.ts';
import type { JobOptions, Protection } from './protection.ts';

/** What is told of the work: the log, and notifications. */
export interface Word {
  /** Oldest first. */
  listLog(filter: LogFilter): Promise<LogEntry[]>;
  /** Proves that the log is whole and that nobody without its key has changed it. */
  verifyLog(options?: JobOptions): Promise<LogVerification>;
  /** Sends a test over one channel or all of them. */
  testNotifications(channel: string | undefined, options?: JobOptions): Promise<SendResult[]>;
}

export function openWord(parts: Pick<Protection, 'log' | 'notifier'>): Word {
  return {
    async listLog(filter) {
      return await (await parts.log()).list(filter);
    },
    async verifyLog({ signal } = {}) {
      return await (await parts.log()).verify({ signal });
    },
    async testNotifications(channel, { signal } = {}) {
      return await (await parts.notifier()).test(channel, { signal });
    },
  };
}

export type { LogEntry, LogFilter, LogKind, LogProblem, LogVerification, SendResult };
