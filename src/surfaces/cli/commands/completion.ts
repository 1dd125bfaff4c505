import { AppError } from '../../../model/errors.ts';
import { completionScripts } from '../completion-scripts.ts';
import type { Session } from '../session.ts';

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
