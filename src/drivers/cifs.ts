import { AppError } from '../model/errors.ts';
import { quote } from '../model/quote.ts';
import { mountAtPath, roomAt } from './mount-point.ts';
import type { Driver, DriverVolume } from './driver.ts';
import { answers, namedVolume, unmountOrDetach } from './mount-answers.ts';
import { checkOptions, mountWord, mountWords, type Options } from './mount-options.ts';
import { patienceMs, probeServer, type Server, waitForServer } from './probe-server.ts';

type ReadSecret = (reference: string) => Promise<Uint8Array>;

/**
 * A share of Windows or Samba:
 * `type=cifs,device=//server/share,o=username=me,password=file:/run/secrets/share`.
 */
export function cifsDriver({ secret }: { readonly secret: ReadSecret }): Driver {
  return {
    kind: 'cifs',

    check: checkCifs,

    traits: () => ({ isMounted: true, isElsewhere: true, isFleeting: false, canGoStale: true }),

    // The server may not be up yet: everything that can be known now has been checked.
    create: async () => undefined,
    remove: async () => undefined,

    async mount(volume, call) {
      const server = cifsServer(volume.options);
      const action = `Cannot mount volume ${quote(volume.name)}`;
      const waitMs = patienceMs(volume.options['wait']);
      await namedVolume(action, () =>
        waitForServer(() => probeServer(server, call), { waitMs, signal: call?.signal }),
      );
      const login = await namedVolume(action, () => readLogin(volume, secret));
      const words = cifsWords(volume.options, login);
      // mount.cifs reads the password from this variable, where no process list shows it.
      const env = login.password === undefined ? undefined : { PASSWD: login.password };
      const { mountpoint: target, name, options } = volume;
      const source = options['device'] ?? '';
      const request = { source, target, type: 'cifs', words, name, env };
      // The kernel may have a connection from another mount that has not yet noticed that the server is back.
      await waitForServer(() => mountAtPath(request, call), { waitMs: 15_000, signal: call?.signal });
    },

    unmount: (volume, call) => unmountOrDetach(volume, call),

    async health(volume, { isMounted }) {
      if (isMounted) return await answers(volume.mountpoint);
      try {
        await probeServer(cifsServer(volume.options));
        return { status: 'good', message: undefined };
      } catch (error) {
        return { status: 'unreachable', message: error instanceof Error ? error.message : undefined };
      }
    },

    async usage(volume) {
      const { status } = await answers(volume.mountpoint);
      return status === 'good' ? await roomAt(volume.mountpoint) : undefined;
    },
  };
}

export function checkCifs(options: Options): Options {
  checkOptions(options, {
    kind: 'cifs',
    known: ['device', 'o', 'credentials', 'password', 'wait'],
    required: ['device'],
  });
  cifsServer(options);
  for (const key of ['credentials', 'password'] as const) {
    if (options[key] === undefined || /^(?:file:\/|env:[A-Za-z_]|exec:\S)/.test(options[key])) continue;
    throw new AppError('usage', `option ${quote(key)} is not a reference`, {
      hint: 'Say where the secret is: file:/path, env:NAME or exec:COMMAND. The secret itself does not belong here.',
    });
  }
  const secretWord = mountWords(options).find((word) =>
    /^(?:pass(?:word)?2?)=|^(?:user|username)=[^%]*%/i.test(word),
  );
  if (secretWord !== undefined) {
    throw new AppError('usage', 'A password in "o" would be seen by everybody who can list volumes', {
      hint: 'Name it by reference: -o password=file:/path, or -o credentials=file:/path with the lines username=…, password=….',
    });
  }
  return options;
}

/** The server of `//server/share`, which `addr=` or `ip=` may override. */
export function cifsServer(options: Options): Server {
  const device = options['device'] ?? '';
  const match = /^(?:\/\/|\\\\)(\[[0-9a-fA-F:]+\]|[^/\\:[\]]+)[/\\]([^/\\].*)$/.exec(device);
  if (match === null) {
    const hasPort = /^\/\/[^/[\]]+:\d+\//.test(device);
    throw new AppError(
      'usage',
      hasPort
        ? "port not allowed in CIFS device URL, include 'port' in 'o='"
        : `invalid device: ${quote(device)} is not //SERVER/SHARE`,
      { hint: 'Write it as "//server/share"; a port goes into "o": o=port=4450.' },
    );
  }
  const said = mountWord(options, 'addr') ?? mountWord(options, 'ip');
  const port = Number(mountWord(options, 'port') ?? 445);
  if (!Number.isInteger(port) || port < 1 || port > 65_535)
    throw new AppError('usage', `invalid port in "o": ${quote(mountWord(options, 'port') ?? '')}`);
  return { host: said ?? (match[1] ?? '').replace(/^\[|\]$/g, ''), port, service: 'SMB' };
}

export interface CifsLogin {
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  readonly domain?: string | undefined;
}

async function readLogin({ options }: DriverVolume, secret: ReadSecret): Promise<CifsLogin> {
  const read = async (reference: string): Promise<string> =>
    Buffer.from(await secret(reference)).toString('utf8');
  if (options['credentials'] !== undefined) return parseCredentials(await read(options['credentials']));
  return options['password'] === undefined ? {} : { password: await read(options['password']) };
}

/** The format of mount.cifs' own credentials files. */
export function parseCredentials(text: string): CifsLogin {
  const found: Record<string, string> = {};
  for (const line of text.split(/\r?\n/)) {
    const at = line.indexOf('=');
    if (at > 0) found[line.slice(0, at).trim().toLowerCase()] = line.slice(at + 1);
  }
  const login: CifsLogin = {
    username: found['username'] ?? found['user'],
    password: found['password'] ?? found['pass'],
    domain: found['domain'] ?? found['dom'] ?? found['workgroup'],
  };
  if (login.username !== undefined) return login;
  throw new AppError('usage', 'The credentials have no line "username=…"', {
    hint: 'Write username=…, password=… and, where there is one, domain=…, one a line.',
  });
}

/** The arguments for mount(8): never a password. */
export function cifsWords(options: Options, { username, domain }: CifsLogin): string[] {
  const words = mountWords(options).map((word) => word.replace(/^addr=/, 'ip='));
  const has = (name: string): boolean => words.some((word) => word === name || word.startsWith(`${name}=`));
  if (username !== undefined && !has('username') && !has('user')) words.push(`username=${username}`);
  if (domain !== undefined && !has('domain')) words.push(`domain=${domain}`);
  // Without a user, mount.cifs prompts for a password.
  const isAnonymous = ['username', 'user', 'guest', 'sec', 'credentials', 'cred', 'multiuser'].every(
    (name) => !has(name),
  );
  return isAnonymous ? [...words, 'guest'] : words;
}
