import { existsSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';

/** Returns the links of a Markdown file that lead to no file of the checkout, one line each. */
export function findBrokenLinks(root: string, path: string, text: string): string[] {
  const prose = text.replace(/^```[\s\S]*?^```/gm, '').replace(/`[^`\n]*`/g, '');
  return [...prose.matchAll(/\]\(([^)\s]+)\)/g)]
    .map((match) => match[1] ?? '')
    .filter((target) => !/^([a-z]+:|#)/.test(target))
    .filter((target) => !existsSync(join(root, normalize(join(dirname(path), target.replace(/#.*/, ''))))))
    .map((target) => `${path}: the link to "${target}" leads nowhere`);
}
