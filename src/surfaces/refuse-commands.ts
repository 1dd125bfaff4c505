import { AppError } from '../model/errors.ts';
import { commandOptions } from '../model/foreign-options.ts';
import { quote } from '../model/quote.ts';

/** Options from a socket or a Compose file must run no command here. `denied` for one that would. */
export function refuseCommands(options: Readonly<Record<string, string>>, action: string): void {
  const commands = commandOptions(options);
  if (commands.length === 0) return;
  throw new AppError(
    'denied',
    `Cannot ${action}: ${commands.map(quote).join(', ')} would run a command here`,
    {
      hint: 'Name the secret by file: or env:, or make the volume with "holdfast volume create".',
    },
  );
}
