import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { runCommand } from '../run-command.ts';

/**
 * Paths of the project's own files from its root: those in git, and new ones that are not ignored. Sorted.
 */
export async function listProjectFiles(root: string): Promise<string[]> {
  const listed = await runCommand('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
    cwd: root,
  });
  if (listed.exitCode !== 0)
    throw new Error(`git can't list the files of "${root}": ${listed.output.trim()}`);
  return [...new Set(listed.stdout.split('\0').filter((path) => path !== ''))].sort();
}

/** The text of a file; undefined for a binary or missing one. */
export function readText(root: string, path: string): string | undefined {
  try {
    const bytes = readFileSync(join(root, path));
    return bytes.includes(0) ? undefined : bytes.toString('utf8');
  } catch {
    return undefined;
  }
}
