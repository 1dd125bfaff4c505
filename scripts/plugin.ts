import { dirname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { buildPlugin } from './plugin/build-plugin.ts';
import { type Extra, extraPrograms, isExtra } from './plugin/plugin-programs.ts';

/** `npm run plugin [-- --with xfs,luks --output FOLDER]`: builds the input of `docker plugin create`. */
const root = dirname(import.meta.dirname);

try {
  const { values } = parseArgs({ options: { with: { type: 'string' }, output: { type: 'string' } } });
  const target = resolve(values.output ?? join(root, 'dist/plugin'));
  await buildPlugin({ target, extras: parseExtras(values.with ?? '') });
  console.log(`${target} is Docker's plugin. As root, on the machine that is to have it:

  mkdir -p -m 700 /var/lib/holdfast
  docker plugin create holdfast ${target}
  docker plugin enable holdfast`);
} catch (error) {
  console.error(`The plugin was not built: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}

function parseExtras(text: string): Extra[] {
  return text
    .split(',')
    .filter(Boolean)
    .map((word) => {
      if (isExtra(word)) return word;
      throw new Error(`--with knows ${Object.keys(extraPrograms).join(', ')}, and not "${word}"`);
    });
}
