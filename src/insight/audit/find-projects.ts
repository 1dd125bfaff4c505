import { stat } from 'node:fs/promises';
import path from 'node:path';
import type { ComposeProject } from '../../compose/index.ts';
import { requireAnswer } from '../../lib/require-answer.ts';
import { fromText } from '../../model/byte-string.ts';
import { AppError, errnoOf, errorMessage, isAppError } from '../../model/errors.ts';
import type { Position } from '../../model/finding.ts';
import { quote } from '../../model/quote.ts';
import { ownLabels } from '../../quiesce/index.ts';
import type { Asking, Engine } from './ask-host.ts';
import type { AuditRequest, AuditSources } from './audit-request.ts';
import type { AuditedProject } from './audit-view.ts';
import { readSmallFile } from './read-small-file.ts';
import { holdsSecret } from './secrets.ts';
import { composeFilesOf, envFilesOf } from './view-of-host.ts';

/** A project that the target names as a file or folder; undefined for a stack or the whole host. */
export async function namedProject(
  { loadProject: load, env }: AuditSources,
  { target, directory, signal }: AuditRequest,
): Promise<ComposeProject | undefined> {
  if (target === undefined) return undefined;
  const place = path.resolve(directory, target);
  const kind = await kindOf(place);
  const isPath = target.includes('/') || /\.ya?ml$/i.test(target) || target === '.' || target === '..';
  if (kind === undefined || !(isPath || kind === 'file')) {
    if (isPath) throw new AppError('not-found', `Cannot audit ${quote(target)}: there is no such file`);
    return undefined;
  }
  return kind === 'folder'
    ? await load({ directory: place, env, signal })
    : await load({ files: [place], directory, env, signal });
}

/** True where the target, which is taken for a stack, is a folder too. */
export async function isFolder({ target, directory }: AuditRequest): Promise<boolean> {
  return target !== undefined && (await kindOf(path.resolve(directory, target))) === 'folder';
}

async function kindOf(place: string): Promise<'file' | 'folder' | undefined> {
  try {
    return (await stat(place)).isDirectory() ? 'folder' : 'file';
  } catch (error) {
    if (errnoOf(error) !== undefined) return undefined;
    throw error;
  }
}

/** The projects whose files Compose has named on containers. A label of an image names nothing. */
export async function projectsOfHost(
  { loadProject: load, env }: AuditSources,
  { containers, info }: Engine,
  { stack, notes, signal }: Asking & { readonly stack: string | undefined },
): Promise<ComposeProject[]> {
  if (info?.isRemote === true) return [];
  const asked = new Map<
    string,
    {
      readonly name: string;
      readonly files: string[];
      readonly envFiles: string[] | undefined;
      readonly directory: string | undefined;
    }
  >();
  for (const container of containers) {
    const labels = ownLabels(container);
    const name = labels['com.docker.compose.project'];
    const files = composeFilesOf(container);
    if (name === undefined || (stack !== undefined && name !== stack)) continue;
    if (files.length === 0 || !files.every((file) => path.isAbsolute(file))) continue;
    const directory = labels['com.docker.compose.project.working_dir'];
    const envFiles = envFilesOf(container);
    asked.set(`${name}\n${files.join()}`, {
      name,
      files,
      envFiles: envFiles.length === 0 ? undefined : envFiles,
      directory,
    });
  }
  const projects: ComposeProject[] = [];
  for (const { name, files, envFiles, directory } of asked.values()) {
    try {
      for (const file of files) await requireAnswer(fromText(file), { name: file, signal });
      projects.push(
        await load({
          files,
          envFiles,
          projectName: name,
          projectDirectory: directory,
          directory: directory ?? '/',
          env,
          signal,
        }),
      );
    } catch (error) {
      if (isAppError(error, 'cancelled')) throw error;
      notes.push(`The file of stack ${quote(name)} was not looked at: ${errorMessage(error)}`);
    }
  }
  return projects;
}

/** What Compose would refuse is left out of a project, so the audit has not seen it. */
export function refusals({ problems }: ComposeProject): string[] {
  return problems
    .filter(({ kind }) => kind === 'error')
    .map(
      ({ message, position: { file, line } }) => `Compose refuses ${quote(file)}, line ${line}: ${message}`,
    );
}

/** A system that refuses says nothing; a fault of the program is one. */
function unlessFault(error: unknown): undefined {
  if (errnoOf(error) === undefined && !isAppError(error)) throw error;
  return undefined;
}

const secretFilesAtMost = 1000;

/** Reads the lines of a project’s files, and the modes of files with secrets. */
export async function examine(project: ComposeProject): Promise<AuditedProject> {
  const lines = new Map<string, readonly string[]>();
  const secretFiles = new Map<string, number>();
  for (const file of project.filesRead) {
    // Changed or gone since it was read: the rule then judges by the value alone.
    const content = await readSmallFile(file).catch(unlessFault);
    if (content !== undefined) lines.set(file, content.split('\n'));
  }
  const secrets = [...project.secrets.values()].flatMap(({ file }) => file ?? []);
  const variables = project.filesRead.filter((file) => !/\.ya?ml$/i.test(file) && hasSecret(lines.get(file)));
  for (const file of [...secrets, ...variables].slice(0, secretFilesAtMost)) {
    // One that is missing is Compose's own error.
    const found = await stat(file).catch(unlessFault);
    if (found?.isFile() === true) secretFiles.set(file, found.mode & 0o7777);
  }
  return {
    project,
    secretFiles,
    lineAt: ({ file, line }: Position) => lines.get(file)?.[line - 1],
  };
}

/** A line of a file of variables. */
function hasSecret(lines: readonly string[] = []): boolean {
  return lines.some((line) => {
    const [, name = '', value = ''] =
      /^\s*(?:export\s+)?([A-Za-z_]\w*)\s*=\s*["']?([^"'#]*)/.exec(line) ?? [];
    return holdsSecret(name, value);
  });
}
