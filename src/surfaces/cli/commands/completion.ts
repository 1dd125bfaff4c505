import { AppError } from '../../../model/errors.ts';
import { completionScripts } from '../completion-scripts.ts';
import type { Session } from '../session.ts';
import type { Proposal } from '../context.ts';

export async function runCompletion(
  session: Session,
  _flags: object,
  args: readonly string[],
): Promise<void> {
  const [shell = ''] = args;
  const script = Object.hasOwn(completionScripts, shell) ? completionScripts[shell] : undefined;
  if (script === undefined)
    throw new AppError('usage', `There is no completion for "${shell}"`, {
      hint: 'There is one for bash, zsh and fish.',
    });
  const write = session.openSink({ mayBeTerminal: true });
  await write(Buffer.from(script, 'utf8'));
}

export interface CompleteFlags {
  readonly describe?: boolean;
}

/** Never fails: an error gives no completions. */
export async function runComplete(
  session: Session,
  flags: CompleteFlags,
  args: readonly string[],
): Promise<void> {
  const write = session.openSink({ mayBeTerminal: true });
  const found = await propose(session, args).catch(() => []);
  const lines = found.map(({ completion, brief }) =>
    flags.describe ? `${completion}\t${brief}` : completion,
  );
  if (lines.length > 0) await write(Buffer.from(`${lines.join('\n')}\n`, 'utf8'));
}

async function propose(session: Session, args: readonly string[]): Promise<readonly Proposal[]> {
  const found = await session.context.propose(args);
  const partial = args.at(-1) ?? '';
  return found.filter(({ completion }) => completion !== '--' && completion.startsWith(partial));
}
