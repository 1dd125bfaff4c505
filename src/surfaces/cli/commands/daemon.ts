import { fromText, toPrintable } from '../../../model/byte-string.ts';
import { parseDuration } from '../../../model/duration.ts';
import type { Session } from '../session.ts';
import { daemonService } from '../service/daemon-service.ts';

export interface DaemonFlags {
  readonly grace?: string;
  readonly printUnit?: boolean;
}

export async function runDaemon(session: Session, flags: DaemonFlags): Promise<void> {
  const graceMs = flags.grace === undefined ? 60_000 : parseDuration(flags.grace);
  if (flags.printUnit) {
    const { text: unit, path } = daemonService(session.config);
    return session.printer.print({ json: () => ({ unit, path }), text: () => unit, quiet: () => [unit] });
  }
  const say = (message: string): void => session.warn(toPrintable(fromText(message)));
  using _reloading = session.context.onHangUp(() => reload());
  let reload = (): void => {};
  try {
    // It recovers each time that it looks, first when it has said that it runs: what is done then may take long.
    await session.app.policies.runDaemon({
      signal: session.signal,
      graceMs,
      say,
      onReloader: (found) => {
        reload = () => {
          say('The configuration is read again.');
          found();
        };
      },
    });
  } catch (error) {
    // What was left stopped must not wait until there is a configuration that can be used.
    await session.app.recoverAtStart('host');
    throw error;
  }
  say('The daemon has ended.');
}
