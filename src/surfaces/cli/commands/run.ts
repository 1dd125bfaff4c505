import { AppError } from '../../../model/errors.ts';
import type { Mount } from '../../../model/mount.ts';
import { parseCsvMount } from '../../../model/mount-csv.ts';
import { parseShortMount } from '../../../model/mount-short.ts';
import { parseTmpfsMount } from '../../../model/mount-tmpfs.ts';
import type { Session } from '../session.ts';

export interface RunFlags {
  readonly volume?: readonly string[];
  readonly mount?: readonly string[];
  readonly tmpfs?: readonly string[];
  readonly env?: readonly string[];
  readonly workdir?: string;
}

export async function runRun(session: Session, flags: RunFlags, command: readonly string[]): Promise<void> {
  const { context, signal, note } = session;
  const { exitCode } = await session.app.volumes.run(
    {
      mounts: mountsOf(flags),
      command,
      workingDir: flags.workdir,
      environment: Object.fromEntries((flags.env ?? []).map((text) => variableOf(text, context.env))),
    },
    { signal, onSignals: (pass) => context.onSignals(pass), onNote: note },
  );
  context.setExitNumber(exitCode);
}

function mountsOf(flags: RunFlags): Mount[] {
  const where = { directory: process.cwd() };
  return [
    ...(flags.volume ?? []).map((text) => parseShortMount(text, where)),
    ...(flags.mount ?? []).map((text) => parseCsvMount(text, where)),
    ...(flags.tmpfs ?? []).map(parseTmpfsMount),
  ];
}

/** `NAME=VALUE`, or `NAME` alone for its value here. */
function variableOf(text: string, env: Readonly<Record<string, string | undefined>>): [string, string] {
  const equals = text.indexOf('=');
  const name = equals === -1 ? text : text.slice(0, equals);
  if (name === '') throw new AppError('usage', `Cannot read the variable "${text}": write NAME=VALUE`);
  return [name, equals === -1 ? (env[name] ?? '') : text.slice(equals + 1)];
}
