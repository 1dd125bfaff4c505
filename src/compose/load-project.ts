import { AppError } from '../model/errors.ts';
import type { ComposeProject, ComposeRequest } from './compose-project.ts';

/**
 * Reads a project. Throws `not-found` when there is no Compose file, and `usage` for files that tell nothing:
 * broken YAML, circles of `extends` or `include`, a required variable that is missing, or too much of
 * anything; with `FILE:LINE:COLUMN` in the message where one is known. Starts no program, and opens regular
 * files only.
 */
export async function loadProject(request: ComposeRequest): Promise<ComposeProject> {
  throw new AppError('unsupported', `Not yet: ${request.directory}`);
}
