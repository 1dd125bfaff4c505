import type { Happening, Notifier } from '../../activity/index.ts';

export interface HooksToTell {
  /** What failed, or is given up. */
  readonly notes: readonly string[];
  /** Some had failed, and none is due any more. */
  readonly isOver: boolean;
}

/** Tells the channels, because a command's notes may go unread. Never throws: the notes say it too. */
export async function tellOfHooks(
  { notifier }: { readonly notifier: () => Promise<Notifier> },
  { notes, isOver }: HooksToTell,
): Promise<void> {
  const about = { work: 'backup', subject: 'hooks' } as const;
  const failed = notes.map((message): Happening => ({
    ...about,
    what: 'partial',
    fingerprint: 'due-hook',
    message,
  }));
  // Otherwise monitoring would keep reporting the failure.
  const over: Happening = {
    ...about,
    what: 'good',
    onlyRecovery: true,
    message: 'No hook of a backup is due any more',
  };
  const all = isOver ? [...failed, over] : failed;
  if (all.length === 0) return;
  try {
    (await notifier()).tell(all);
  } catch {
    // Usually a configuration that cannot be read.
  }
}
