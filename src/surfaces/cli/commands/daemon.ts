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
  // Also where the configuration cannot be used: what was left stopped must not wait for that.
  await session.app.recoverAtStart('host');
  const say = (message: string): void => session.warn(toPrintable(fromText(message)));
  using _reloading = session.context.onHangUp(() => reload());
  let reload = (): void => {};
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
  say('The daemon has ended.');
}
