import { mustRun, runCommand } from '../run-command.ts';

/**
 * The paths of all shared libraries that programs and libraries of this machine load, including their loader.
 */
export async function sharedLibrariesOf(files: readonly string[]): Promise<string[]> {
  const found = new Set<string>();
  for (const file of files) {
    if (await isStatic(file)) continue;
    for (const library of parseLdd(await mustRun('ldd', [file]), file)) found.add(library);
  }
  return [...found].toSorted();
}

/** Parses the output of `ldd` for one file. Throws when a library is missing. */
export function parseLdd(text: string, file: string): string[] {
  return text.split('\n').flatMap((line) => {
    if (/=> not found/.test(line)) throw new Error(`${file} needs a library that is missing: ${line.trim()}`);
    // `libc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x…)`, or the loader: `/lib64/ld-linux-x86-64.so.2 (0x…)`
    const [, path] = /(?:=> |^\s*)(\/\S+) \(0x/.exec(line) ?? [];
    return path === undefined ? [] : [path];
  });
}

async function isStatic(file: string): Promise<boolean> {
  const { output } = await runCommand('ldd', [file]);
  return /statically linked|not a dynamic executable/.test(output);
}
