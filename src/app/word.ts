import type { LogEntry, LogKind } from '../model/log-entry.ts';
import type { ArchiveOutcome, ImportArchivesReport, ImportArchivesRequest } from '../backup/index.ts';
import type {
  JobOptions,
  LogFilter,
  LogProblem,
  LogVerification,
  Protection,
  SendResult,
} from '../activity/index.ts';

/** What is told of the work, and what others have done before. */
export interface Word {
  /** Oldest first. */
  listLog(filter: LogFilter): Promise<LogEntry[]>;
  /** Proves that the log is whole and that nobody without its key has changed it. */
  verifyLog(options?: JobOptions): Promise<LogVerification>;
  /** Turns archives of other programs into snapshots with their dates. */
  importArchives(request: ImportArchivesRequest, options?: JobOptions): Promise<ImportArchivesReport>;
  /** Sends a test over one channel or all of them. */
  testNotifications(channel: string | undefined, options?: JobOptions): Promise<SendResult[]>;
}

export function openWord(parts: Protection): Word {
  return {
    async listLog(filter) {
      return await (await parts.log()).list(filter);
    },
    async verifyLog({ signal } = {}) {
      return await (await parts.log()).verify({ signal });
    },
    async importArchives(request, options = {}) {
      const { importArchives } = await import('../backup/index.ts');
      return await importArchives(parts, request, options);
    },
    async testNotifications(channel, { signal } = {}) {
      return await (await parts.notifier()).test(channel, { signal });
    },
  };
}

export type { ArchiveOutcome, ImportArchivesReport, ImportArchivesRequest };
export type { LogEntry, LogFilter, LogKind, LogProblem, LogVerification, SendResult };
