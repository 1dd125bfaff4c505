import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { isAppError } from '../../model/errors.ts';
import { configurationShape } from './configuration.ts';
import { readDocument } from '../../lib/read-document.ts';

const file = join(import.meta.dirname, '../../../docs/schema/holdfast.schema.json');
/** For editors: the shape that the program parses with, and a title. */
const configurationSchema = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  title: 'holdfast.yaml',
  ...configurationShape.schema,
};
const validate = new Ajv2020({ strict: false }).compile(configurationSchema);

/** Whether the program accepts a document. */
function isRead(text: string): boolean {
  try {
    readDocument(text, configurationShape, 'h.yaml');
    return true;
  } catch (error) {
    if (isAppError(error, 'usage')) return false;
    throw error;
  }
}

test('the schema in docs is generated from the shape that the program parses with', async () => {
  await expect(`${JSON.stringify(configurationSchema, undefined, 2)}\n`).toMatchFileSnapshot(file);
});

const good = [
  `{}`,
  `host: docker\nrepository: main\ndaemon: { parallel: 4 }`,
  `repositories: { main: { location: /srv/backup, password: 'file:/etc/key', options: { limit-upload: 2MiB, connections: 4, path-style: true } } }`,
  `defaults: { time-zone: Europe/Berlin, jitter: 30m, consistency: stop, tags: [a], exclude: ['*.tmp'] }`,
  `policies: { a: {}, b: { everything: true, except: 'tmp-*' }, c: { volumes: [a, 'b*'], stacks: s, labels: ['k=v'], paths: /etc } }`,
  `policies: { a: { schedule: ['0 3 * * *', '@weekly'], keep: { last: unlimited, daily: 7, within: 1y6m, within-daily: 14d, tags: [x], verified: 2 } } }`,
  `policies: { a: { check: '@weekly', verify: { schedule: '@monthly', read-data: 10% }, drill: '@monthly', prune: never, catch-up: false } }`,
  `policies: { a: { verify: { schedule: '@monthly', read-data: 25 }, repositories: [one, two], x-note: anything } }`,
  `policies: { a: { preset: mysql, dump: true, hooks: { before: [{ in: db, command: [a, b], timeout: 5m }], on-error: [] } } }`,
];

const bad = [
  `- a list`,
  `hosts: docker`,
  `host: lxc`,
  `daemon: { parallel: 0 }`,
  `daemon: { parallel: two }`,
  `repositories: { main: {} }`,
  `repositories: { main: { location: /srv, password: hunter2 } }`,
  `repositories: { 'no name': { location: /srv } }`,
  `defaults: { consistency: maybe }`,
  `defaults: { tags: ['policy:mine'] }`,
  `defaults: { catch-up: 'yes' }`,
  `policies: { a: { paths: relative } }`,
  `policies: { a: { keep: { dayly: 7 } } }`,
  `policies: { a: { keep: { daily: -1 } } }`,
  `policies: { a: { keep: { daily: many } } }`,
  `policies: { a: { check: { read-data: 5% } } }`,
  `policies: { a: { verify: { schedule: '@daily', read-data: 101% } } }`,
  `policies: { a: { verify: { schedule: '@daily', read-data: 0 } } }`,
  `policies: { a: { preset: oracle } }`,
  `policies: { a: { hooks: { sometimes: [] } } }`,
  `policies: { a: { hooks: { before: [{ command: x }] } } }`,
  `policies: { '-a': {} }`,
  `policies: { a: { schedule: 5 } }`,
];

describe('an editor and the program agree', () => {
  test.each(good)('that this is valid: %s', (text) => {
    expect({ program: isRead(text), editor: validate(parse(text)) }).toEqual({ program: true, editor: true });
  });

  test.each(bad)('that this is invalid: %s', (text) => {
    expect({ program: isRead(text), editor: validate(parse(text)) }).toEqual({
      program: false,
      editor: false,
    });
  });
});
