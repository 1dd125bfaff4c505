import { homedir } from 'node:os';

/** Undefined for a user whom this machine does not know, and who says nothing of one. */
export function homeFolder(env: Readonly<Record<string, string | undefined>>): string | undefined {
  try {
    return env['HOME'] || homedir();
  } catch {
    return undefined;
  }
}
