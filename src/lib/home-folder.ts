import { homedir } from 'node:os';

/** Undefined for a user unknown to this machine without a home folder in the environment. */
export function homeFolder(env: Readonly<Record<string, string | undefined>>): string | undefined {
  try {
    return env['HOME'] || homedir();
  } catch {
    return undefined;
  }
}
