import { printableField } from '../../../model/quote.ts';
import { parseDuration } from '../../../model/duration.ts';
import { AppError } from '../../../model/errors.ts';
import { isLoopback, type ListenAddress, parseAddress } from '../../../lib/listen-address.ts';
import type { SizeKeeper } from '../../../app/app.ts';
import type { Session } from '../session.ts';
import { serveMetrics } from '../../metrics/serve-metrics.ts';
import { daemonService } from '../service/daemon-service.ts';

export interface DaemonFlags {
  readonly grace?: string;
  readonly printUnit?: boolean;
  readonly metrics?: string;
  readonly metricsForAll?: boolean;
}

export async function runDaemon(session: Session, flags: DaemonFlags): Promise<void> {
  const graceMs = flags.grace === undefined ? 60_000 : parseDuration(flags.grace);
  if (flags.printUnit) {
    const { text: unit, path } = daemonService(session.config);
    return session.printer.print({ json: () => ({ unit, path }), text: () => unit, quiet: () => [unit] });
  }
  const say = (message: string): void => session.warn(printableField(message));
  using _reloading = session.context.onHangUp(() => reload());
  let reload = (): void => {};
  await using serving = new AsyncDisposableStack();
  try {
    const address = await metricsAddress(session, { flags, say });
    const sizes = serving.use(session.app.usage.openWatch(say, { countsIo: address !== undefined }));
    const metrics =
      address === undefined
        ? undefined
        : serving.use(openMetricsService(session, { address, io: sizes.io, say }));
    // It recovers each time that it looks, first when it has said that it runs: what is done then may take long.
    await session.app.policies.runDaemon({
      signal: session.signal,
      graceMs,
      say,
      onLook(look) {
        metrics?.onLook(look);
        sizes.onLook(look);
      },
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
  await serving.disposeAsync();
  say('The daemon has ended.');
}

/** Serves metrics until disposed, so also while the daemon ends what is at work. */
function openMetricsService(
  session: Session,
  {
    address,
    io,
    say,
  }: {
    readonly address: ListenAddress;
    readonly io: SizeKeeper['io'];
    readonly say: (message: string) => void;
  },
) {
  const exporter = session.app.metrics.openExporter(io);
  const end = new AbortController();
  const served = serveMetrics({ ...exporter, address, signal: end.signal, say });
  return {
    onLook: exporter.onLook,
    async [Symbol.asyncDispose]() {
      end.abort();
      await served;
    },
  };
}

/**
 * As the command line says, or else holdfast.yaml. On the command line an address that other machines reach is an error
 * that its user sees; in the file, where the daemon starts with the machine, it costs no backup.
 */
async function metricsAddress(
  session: Session,
  { flags, say }: { readonly flags: DaemonFlags; readonly say: (message: string) => void },
): Promise<ListenAddress | undefined> {
  const configured = (await session.app.policies.upcomingConfiguration()).metrics;
  const address = flags.metrics === undefined ? configured?.listen : parseAddress(flags.metrics);
  if (address === undefined || isLoopback(address)) return address;
  if ((flags.metricsForAll ?? configured?.forAll) === true) return address;
  const message = `Other machines could read the metrics at ${address.host}`;
  const hint =
    'Metrics name your volumes and folders, and need no password. Listen at 127.0.0.1, or say --metrics-for-all ("for-all: true" in holdfast.yaml).';
  if (flags.metrics !== undefined) throw new AppError('usage', message, { hint });
  say(`Warning: no metrics: ${message}. ${hint}`);
  return undefined;
}
