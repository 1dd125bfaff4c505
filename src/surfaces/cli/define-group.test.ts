import { expect, test } from 'vitest';
import { defineCommand } from './define-command.ts';
import { defineGroup, type Route } from './define-group.ts';

const load = () => Promise.reject(new Error('No command is run'));

/** Two groups in a group, and the names of the commands that were built. */
function groups(): { readonly root: ReturnType<typeof defineGroup>; readonly built: string[] } {
  const built: string[] = [];
  const command = (name: string): Route => {
    const define = defineCommand({ brief: name, flags: {}, args: [], load });
    return () => {
      built.push(name);
      return define();
    };
  };
  const routes = {
    volume: defineGroup({
      routes: { ls: command('ls'), rm: command('rm') },
      aliases: { list: 'ls' },
      docs: { brief: 'Volumes' },
    }),
    df: command('df'),
  };
  return { root: defineGroup({ routes, docs: { brief: 'All' } }), built };
}

test.each([
  [['df', 'x'], ['df']],
  [['volume', 'ls', '-q'], ['ls']],
  [
    ['volume', 'list'],
    ['ls', 'rm'],
  ],
  [
    ['volume', '--help'],
    ['ls', 'rm'],
  ],
  [['volum'], ['ls', 'rm', 'df']],
  [['toString'], ['ls', 'rm', 'df']],
  [
    ['--help', 'rm'],
    ['ls', 'rm', 'df'],
  ],
  [[], ['ls', 'rm', 'df']],
])('of %j the commands %j are built', (words, expected) => {
  const { root, built } = groups();
  root(words);
  expect(built).toEqual(expected);
});

test('the help text of a command is not made before it is shown', () => {
  let count = 0;
  const command = defineCommand({
    brief: 'Brief',
    get description() {
      count++;
      return 'Long';
    },
    flags: {},
    args: [],
    load,
  })();
  expect(count).toBe(0);
  expect(command.fullDescription).toContain('Long');
});
