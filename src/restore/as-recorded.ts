import { AppError } from '../model/errors.ts';
import { commandLabels, commandOptions, reachingOptions } from '../model/foreign-options.ts';
import { quote } from '../model/quote.ts';
import type { VolumeDescription } from '../model/snapshot.ts';
import type { VolumeSpec } from '../model/volume.ts';

/** A volume to be created as a snapshot says, and what the user should know first. */
export interface RecordedVolume {
  readonly spec: VolumeSpec & { readonly name: string };
  readonly notes: readonly string[];
  readonly refusal: AppError | undefined;
}

type Recorded = Pick<VolumeDescription, 'name' | 'driver' | 'options' | 'labels'>;

/**
 * A user who can write to a repository controls what its snapshots say. A description that touches only the
 * volume itself is used as it is. Another place's storage, a server, a secret of this machine or a hook is
 * used only when the caller agrees to this snapshot's description (`isTrusted`); a command is never run.
 * Pure.
 */
export function recordedVolume(
  { name, driver, options, labels }: Recorded,
  { isTrusted }: { readonly isTrusted: boolean },
): RecordedVolume {
  const hooks = isTrusted ? [] : commandLabels(labels);
  const kept = Object.fromEntries(Object.entries(labels).filter(([label]) => !hooks.includes(label)));
  const shown = Object.entries(options).map(([key, value]) => quote(`${key}=${value}`));
  const notes = [
    ...(shown.length > 0 ? [`It is made with the driver ${quote(driver)} and ${shown.join(', ')}.`] : []),
    ...(hooks.length > 0
      ? [
          `Its labels that are commands are left out: ${hooks.map(quote).join(', ')}. "--as-recorded" takes them.`,
        ]
      : []),
  ];
  return {
    spec: { name, driver, options, labels: kept },
    notes,
    refusal: refusalOf({ name, driver, options, labels }, isTrusted),
  };
}

function refusalOf(recorded: Recorded, isTrusted: boolean): AppError | undefined {
  const { name, options } = recorded;
  const commands = commandOptions(options);
  const action = `Cannot make the volume ${quote(name)} as its snapshot says`;
  const elsewhere = `make the volume first with "holdfast volume create", or restore into another one with --to`;
  if (commands.length > 0) {
    const what = commands.map(quote).join(', ');
    return new AppError('denied', `${action}: ${what} would run a command out of the snapshot`, {
      hint: `Look at the command, and ${elsewhere}.`,
    });
  }
  const reaching = isTrusted ? [] : reachingOptions(recorded);
  if (reaching.length === 0) return undefined;
  return new AppError('denied', `${action}: it reaches out to ${reaching.map(quote).join(', ')}`, {
    hint: `When that is what you want, add --as-recorded. Otherwise ${elsewhere}.`,
  });
}
