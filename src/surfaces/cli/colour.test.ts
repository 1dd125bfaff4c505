import { PassThrough } from 'node:stream';
import { WriteStream } from 'node:tty';
import { afterEach, expect, test, vi } from 'vitest';
import { paintFor, paintLines, paintMessage } from './colour.ts';

afterEach(() => vi.unstubAllEnvs());

/** A terminal that follows the environment, or a pipe. */
function stream(isTTY: boolean): NodeJS.WriteStream {
  const { getColorDepth } = WriteStream.prototype;
  return Object.assign(new PassThrough(), { isTTY, getColorDepth }) as unknown as NodeJS.WriteStream;
}

/** Variables that Node.js uses: in CI and in tmux it overrides what the terminal says. */
const deciding = [
  'NO_COLOR',
  'FORCE_COLOR',
  'NODE_DISABLE_COLORS',
  'TERM',
  'COLORTERM',
  'TERM_PROGRAM',
  'TMUX',
  'CI',
  'TEAMCITY_VERSION',
];

function shown(isTTY: boolean, env: Readonly<Record<string, string | undefined>>): string {
  for (const name of deciding) vi.stubEnv(name, env[name]);
  return paintMessage('holdfast: no', paintFor(stream(isTTY)));
}

test('colours are for terminals that show them, and for users who force them', () => {
  const painted = '\u{1b}[31mholdfast:\u{1b}[39m no';
  expect(shown(true, { TERM: 'xterm-256color' })).toBe(painted);
  expect(shown(false, { TERM: 'xterm-256color' })).toBe('holdfast: no');
  expect(shown(true, { TERM: 'xterm-256color', NO_COLOR: '1' })).toBe('holdfast: no');
  expect(shown(true, { TERM: 'dumb' })).toBe('holdfast: no');
  expect(shown(false, { FORCE_COLOR: '1' })).toBe(painted);
});

test('only a whole word at the beginning of its line is coloured', () => {
  const words = { protected: 'green', unprotected: 'red' } as const;
  const lines = 'unprotected  a\nprotected    protected\nprotected-by  b\n  protected';
  expect(paintLines(lines, words, (colour, text) => `<${colour} ${text}>`)).toBe(
    '<red unprotected>  a\n<green protected>    protected\nprotected-by  b\n  protected',
  );
  expect(paintMessage('Warning: a', (colour, text) => `<${colour} ${text}>`)).toBe('<yellow Warning:> a');
  expect(paintMessage('A Warning: a', (colour, text) => `<${colour} ${text}>`)).toBe('A Warning: a');
});
