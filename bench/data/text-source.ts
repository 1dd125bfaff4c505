import { noiseOf, type Random, randomOf } from './random.ts';

/**
 * Fills buffers with text that compresses like source code: common words and lines, and names that occur
 * once.
 */
export interface TextSource {
  fill(target: Buffer, random: Random): void;
}

const vocabularySize = 3_000;
const lineCount = 12_000;
const subjectLines = 250;
const noveltySize = 65_536;
const beginnings = ['const ', 'return ', 'if (', '  "', '    ', '  // ', 'import ', '\t', '  public ', ' * '];
const endings = [';\n', ',\n', ' {\n', '}\n', ')\n', '\n', '\n\n', '",\n'];
const joints = [' ', '.', '(', ', ', ' = ', ': ', '_', ' + ', '->', ' '];

/** Words and lines are generated once; each file combines them in its own order. */
export function textSourceOf(seed: string): TextSource {
  const random = randomOf(`${seed}/text`);
  const words = Array.from({ length: vocabularySize }, () => makeWord(random));
  const lines = Array.from({ length: lineCount }, () => makeLine(words, random));
  const pool = Buffer.from(lines.join(''), 'latin1');
  let length = 0;
  const starts = [0, ...lines.map((line) => (length += line.length))];
  const novelty = Buffer.from(noiseOf(`${seed}/novelty`)(noveltySize / 2).toString('hex'), 'latin1');

  return {
    fill(target, source) {
      // A file has its own subject: most of its lines are from a small part of the pool, and recur.
      const subject = source.below(lineCount - subjectLines);
      let position = 0;
      while (position < target.length) {
        const isOwn = source.next() < 0.75;
        const line = isOwn
          ? subject + source.below(subjectLines)
          : Math.floor(lineCount * source.next() ** 3);
        const end = Math.min(lineCount, line + 1 + source.below(3));
        position += pool.copy(target, position, starts[line], starts[end]);
        if (source.next() < 0.25 && position < target.length) {
          const start = source.below(noveltySize - 16);
          position += novelty.copy(target, position, start, start + 4 + source.below(8));
        }
      }
    },
  };
}

function makeWord(random: Random): string {
  const syllables = 1 + random.below(4);
  let word = '';
  for (let index = 0; index < syllables; index += 1) {
    word += 'bcdfghklmnprstvwz'.charAt(random.below(17)) + 'aeiou'.charAt(random.below(5));
    if (random.next() < 0.3) word += 'lnrst'.charAt(random.below(5));
  }
  return word;
}

function makeLine(words: readonly string[], random: Random): string {
  let line = beginnings[random.below(beginnings.length)] ?? '';
  const length = 2 + random.below(8);
  for (let index = 0; index < length; index += 1) {
    line += words[Math.floor(words.length * random.next() ** 2)] ?? '';
    line += joints[random.below(joints.length)] ?? '';
  }
  return line + (endings[random.below(endings.length)] ?? '');
}
