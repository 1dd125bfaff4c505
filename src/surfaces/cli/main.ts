import module from 'node:module';
import { compileCacheDir } from './compile-cache-dir.ts';

// Before anything else is loaded: later starts then use the compiled code.
const cacheDir = compileCacheDir(process.env, process.getuid?.());
if (cacheDir !== undefined) module.enableCompileCache(cacheDir);

if (!process.argv.includes('df') || !(await (await import('./answer-df.ts')).answerDf(process))) {
  const { runCommandLine } = await import('./command-line.ts');
  await runCommandLine(process);
}
