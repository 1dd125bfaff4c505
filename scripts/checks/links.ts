import { existsSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';

/** Returns the broken links of a Markdown file to files of the checkout, one line each. */
export function findBrokenLinks(root: string, path: string, text: string): string[] {
  const prose = text.replace(/^```[\s\S]*?^```/gm, '').replace(/`[^`\n]*`/g, '');
  return [...prose.matchAll(/\]\(([^)\s]+)\)/g)]
    .map((match) => match[1] ?? '')
    .filter((target) => !/^([a-z]+:|#)/.test(target))
    .filter((target) => !existsSync(join(root, normalize(join(dirname(path), target.replace(/#.*/, ''))))))
    .map((target) => `${path}: the link to "${target}" leads nowhere`);
}

/**
 * Returns the missing files that a map of the code names (`a.ts`, `folder/a.ts`), one line each: in
 * ARCHITECTURE.md, and in the first comment of a room's face, whose names are of its room.
 */
export function findGoneFiles(path: string, text: string, files: readonly string[]): string[] {
  const face = /^src\/[a-z-]+\/index\.ts$/.test(path);
  if (path !== 'ARCHITECTURE.md' && !face) return [];
  const said = face ? (/^\/\*\*[\s\S]*?\*\//.exec(text)?.[0] ?? '') : text;
  const below = face ? `${dirname(path)}/` : '';
  const named = new Set([...said.matchAll(/`([\w./-]+\.ts)`/g)].map((match) => match[1] ?? ''));
  return [...named]
    .filter((name) => !files.some((file) => file.startsWith(below) && `/${file}`.endsWith(`/${name}`)))
    .map((name) => `${path}: the file "${name}" is not there`);
}
