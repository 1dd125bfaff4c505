import type { Proposal } from '../context.ts';
import type { Session } from '../session.ts';

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
