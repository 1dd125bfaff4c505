import { parseDuration } from '../../model/duration.ts';
import { AppError } from '../../model/errors.ts';
import { compileGlob } from '../../model/glob.ts';
import { quote } from '../../model/quote.ts';
import {
  anyText,
  converted,
  fields,
  flag,
  mapOf,
  oneOf,
  oneOrMore,
  type Read,
  type Shape,
  text,
  wholeNumber,
} from '../../lib/shape.ts';
import type { Channel, ChannelBasics, HealthchecksChannel } from './channel.ts';
import { noticeEvents } from './notifier.ts';
import { checkTemplate } from './template.ts';

const reference = /^(file|env|exec):./;

const secret = text(
  (value) => {
    if (reference.test(value)) return value;
    throw new AppError('usage', 'must be a reference: file:/PATH, env:NAME or exec:COMMAND');
  },
  { pattern: '^(file|env|exec):.', description: 'file:/PATH, env:NAME or exec:COMMAND' },
);

const address = text(
  (value) => {
    if (reference.test(value) || /^https?:\/\/[^/\s]+/.test(value)) return value;
    throw new AppError(
      'usage',
      'must be an http or https address, or a reference to one: file:/PATH, env:NAME',
    );
  },
  { pattern: '^(https?://|(file|env|exec):).', description: 'An address, or a reference to one' },
);

const template = text(checkTemplate);

const glob = text((pattern) => {
  compileGlob(pattern, pattern);
  return pattern;
});

const duration = text(parseDuration, { description: 'A duration: 30s, 5m' });

const works = ['backup', 'restore', 'verify', 'drill', 'prune', 'recovery', 'schedule'] as const;

const port = wholeNumber(1, 65_535);

/** The fields of each type, the required ones first. */
const own: Readonly<
  Record<Channel['type'], { readonly needs: readonly Field[]; readonly takes: readonly Field[] }>
> = {
  webhook: { needs: ['url'], takes: ['method', 'headers', 'body'] },
  email: {
    needs: ['server', 'from', 'to'],
    takes: ['port', 'encryption', 'ca-file', 'username', 'password'],
  },
  ntfy: { needs: ['url'], takes: ['token', 'username', 'password'] },
  discord: { needs: ['url'], takes: [] },
  slack: { needs: ['url'], takes: [] },
  healthchecks: { needs: ['url'], takes: ['per-volume', 'works'] },
  // Each of its monitors has an address of its own that nothing can be appended to.
  'uptime-kuma': { needs: ['url'], takes: ['works'] },
};

const types = Object.keys(own) as Channel['type'][];

const channelFields = {
  type: oneOf(types),
  on: oneOrMore(oneOf(noticeEvents)),
  volumes: oneOrMore(glob),
  policies: oneOrMore(anyText),
  title: template,
  message: template,
  'retry-for': duration,
  url: address,
  method: oneOf(['POST', 'PUT']),
  headers: mapOf(anyText, {
    pattern: "^[A-Za-z0-9!#$%&'*+.^_`|~-]+$",
    problem: 'is no name of a header',
  }),
  body: template,
  token: secret,
  username: anyText,
  password: secret,
  server: anyText,
  port,
  encryption: oneOf(['tls', 'starttls', 'none']),
  'ca-file': anyText,
  from: anyText,
  to: oneOrMore(anyText),
  'per-volume': flag,
  works: oneOrMore(oneOf(works)),
} as const;

type Given = Read<typeof channelFields>;
type Field = keyof typeof channelFields;

const common: readonly Field[] = ['type', 'on', 'volumes', 'policies', 'title', 'message', 'retry-for'];

/** `notify:` in holdfast.yaml: channels by their names. */
export const channelsShape: Shape<readonly Channel[]> = converted(
  mapOf(converted(fields(channelFields, { required: ['type'] }), checked), {
    pattern: '^[a-zA-Z0-9][a-zA-Z0-9_-]{0,63}$',
    problem: 'is no name for a channel: use letters, digits, "-" and "_"',
  }),
  (given) => [...given].map(([name, one]) => channelOf(name, one)),
);

/** Refuses fields that the channel's type does not know, and missing ones. */
function checked(given: Given): Given {
  const { type } = given;
  if (type === undefined) return given;
  const { needs, takes } = own[type];
  const allowed = new Set<string>([...common, ...needs, ...takes]);
  for (const [field, value] of Object.entries(given))
    if (value !== undefined && !allowed.has(field))
      throw new AppError(
        'usage',
        `has ${quote(field)}, which is not for channels of the type ${quote(type)}`,
      );
  for (const field of needs)
    if (given[field] === undefined)
      throw new AppError('usage', `needs ${quote(field)}, as a channel of the type ${quote(type)}`);
  if (given.password !== undefined && given.username === undefined)
    throw new AppError('usage', 'has a password and no "username"');
  if (given.token !== undefined && given.username !== undefined)
    throw new AppError('usage', 'has a "token" and a "username": one of them is enough');
  return given;
}

function channelOf(name: string, given: Given): Channel {
  const basics: ChannelBasics = {
    name,
    on: given.on ?? ['failure', 'recovery', 'missed', 'anomaly'],
    volumes: given.volumes ?? [],
    policies: given.policies ?? [],
    title: given.title,
    message: given.message,
    retryForMs: given['retry-for'] ?? 30_000,
  };
  const { url = '', username, password } = given;
  switch (given.type) {
    case 'email':
      return { ...basics, type: 'email', ...emailOf(given) };
    case 'ntfy':
      return { ...basics, type: 'ntfy', url, token: given.token, username, password };
    case 'discord':
      return { ...basics, type: 'discord', url };
    case 'slack':
      return { ...basics, type: 'slack', url };
    case 'uptime-kuma':
      return {
        ...basics,
        type: 'uptime-kuma',
        url,
        perVolume: false,
        works: given.works ?? usualWorks(false),
      };
    case 'healthchecks': {
      const perVolume = given['per-volume'] ?? url.includes('{volume}');
      return { ...basics, type: 'healthchecks', url, perVolume, works: given.works ?? usualWorks(perVolume) };
    }
    case 'webhook': {
      const headers = Object.fromEntries(given.headers ?? []);
      return { ...basics, type: 'webhook', url, method: given.method ?? 'POST', headers, body: given.body };
    }
    case undefined:
      throw new AppError('usage', `channel ${quote(name)} needs a "type"`);
  }
}

/** Containers that stay stopped (`recovery`) concern no single volume. */
function usualWorks(perVolume: boolean): HealthchecksChannel['works'] {
  return perVolume ? ['backup'] : ['backup', 'recovery'];
}

function emailOf(given: Given) {
  const { server = '', port: at, encryption = 'starttls', username, password, from = '', to = [] } = given;
  const caFile = given['ca-file'];
  return { server, port: at, encryption, caFile, username, password, from, to };
}
