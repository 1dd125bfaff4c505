import type { ComposeRequest } from '../../app/app.ts';
import type { Session } from './session.ts';

/** The flags of `docker compose` that choose a project. */
export interface ComposeFlags {
  readonly file?: readonly string[];
  readonly projectDirectory?: string;
  readonly projectName?: string;
  readonly profile?: readonly string[];
  readonly envFile?: readonly string[];
}

export function composeRequestOf({ config }: Session, flags: ComposeFlags): ComposeRequest {
  return {
    files: flags.file,
    projectDirectory: flags.projectDirectory,
    envFiles: flags.envFile,
    env: config.env,
    projectName: flags.projectName,
    profiles: flags.profile,
  };
}

/** What could not be looked at is said on standard error. */
export function warnOfUnseen(session: Session, unseen: readonly string[]): void {
  for (const sentence of unseen) session.note(sentence);
}
