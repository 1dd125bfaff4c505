import { join } from 'node:path';
import { homeFolder } from '../../lib/home-folder.ts';
import { AppError } from '../../model/errors.ts';
import { readActiveContext, readTlsFolder, type TlsMaterial } from './docker-context.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

/** Where an engine listens, and how that was determined. */
export type DockerEndpoint = EndpointOrigin & (UnixEndpoint | TcpEndpoint | SshEndpoint);

interface EndpointOrigin {
  /** For messages: `unix:///var/run/docker.sock`. */
  readonly address: string;
  /**
   * True when the user chose it (variable or context): a failure is then an error, and no reason to look
   * elsewhere.
   */
  readonly explicit: boolean;
  /** The hint when nothing responds there, instead of the usual one. */
  readonly absenceHint?: string | undefined;
}

export interface UnixEndpoint {
  readonly kind: 'unix';
  readonly socketPath: string;
}

export interface TcpEndpoint {
  readonly kind: 'tcp';
  readonly host: string;
  readonly port: number;
  /** Undefined for plain HTTP. */
  readonly tls: TlsMaterial | undefined;
  /** Put before every path, without a trailing slash. */
  readonly basePath: string;
}

export interface SshEndpoint {
  readonly kind: 'ssh';
  readonly host: string;
  readonly user: string | undefined;
  readonly port: number | undefined;
  /** The engine's socket on the remote machine, when it is not the default. */
  readonly remoteSocket: string | undefined;
}

const defaultSocket = '/var/run/docker.sock';

/**
 * Finds the engine as the Docker CLI does: `DOCKER_HOST`, then the active context, then the default socket.
 */
export async function findDockerEndpoint(env: Environment): Promise<DockerEndpoint> {
  const configFolder = env['DOCKER_CONFIG'] || join(homeFolder(env) ?? '/', '.docker');
  const chosen = env['DOCKER_HOST'];
  if (chosen) return parseDockerHost(chosen, readTlsVariables(env, configFolder));
  const context = readActiveContext(configFolder, env['DOCKER_CONTEXT']);
  if (context !== undefined) return parseDockerHost(context.host, context.tls);
  return { kind: 'unix', socketPath: defaultSocket, address: `unix://${defaultSocket}`, explicit: false };
}

/** Parses an address such as `unix:///run/docker.sock`, `tcp://host:2376` or `ssh://user@host:22`. */
export function parseDockerHost(address: string, tls?: TlsMaterial): DockerEndpoint {
  const text = address.trim();
  if (text.startsWith('unix://')) return parseUnix(text);
  if (/^(?:fd|npipe):/.test(text)) {
    throw new AppError(
      'unsupported',
      `Cannot use Docker at "${text}": this kind of address is not supported`,
      {
        hint: 'Use unix://, tcp://, https:// or ssh://.',
      },
    );
  }
  const url = parseUrl(text);
  if (url.protocol === 'ssh:') return parseSsh(url, text);
  return parseTcp(url, text, tls);
}

function parseUnix(text: string): DockerEndpoint {
  const socketPath = text.slice('unix://'.length) || defaultSocket;
  if (!socketPath.startsWith('/'))
    throw badAddress(text, 'The path of a socket starts with "/": unix:///run/docker.sock.');
  return { kind: 'unix', socketPath, address: `unix://${socketPath}`, explicit: true };
}

function parseUrl(text: string): URL {
  if (text.startsWith('/')) throw badAddress(text, `For a socket, write unix://${text}.`);
  const withScheme = text.includes('://') ? text : `tcp://${text}`;
  // URL treats unknown schemes partly as opaque; http gives the host rules that we want for tcp and ssh too.
  const scheme = withScheme.slice(0, withScheme.indexOf('://'));
  if (!['tcp', 'http', 'https', 'ssh'].includes(scheme))
    throw badAddress(text, 'Use unix://, tcp://, https:// or ssh://.');
  if (!URL.canParse(withScheme))
    throw badAddress(text, 'An address looks like tcp://host:2376 or ssh://user@host.');
  return new URL(withScheme);
}

function parseTcp(url: URL, text: string, tls: TlsMaterial | undefined): DockerEndpoint {
  if (url.hostname === '') throw badAddress(text, 'The host name is missing.');
  const material = url.protocol === 'https:' ? (tls ?? { verify: true }) : tls;
  return {
    kind: 'tcp',
    host: url.hostname.replace(/^\[(.*)\]$/, '$1'),
    port: url.port === '' ? defaultPort(url.protocol, material !== undefined) : Number(url.port),
    tls: material,
    basePath: url.pathname.replace(/\/+$/, ''),
    // A password in an address must not reach a message.
    address: `${url.protocol}//${url.host}${url.pathname.replace(/\/+$/, '')}`,
    explicit: true,
  };
}

function defaultPort(protocol: string, isTls: boolean): number {
  if (protocol === 'http:') return 80;
  if (protocol === 'https:') return 443;
  return isTls ? 2376 : 2375;
}

function parseSsh(url: URL, text: string): DockerEndpoint {
  const host = decodeURIComponent(url.hostname).replace(/^\[(.*)\]$/, '$1');
  const user = decodeURIComponent(url.username) || undefined;
  const remoteSocket = url.pathname === '' || url.pathname === '/' ? undefined : url.pathname;
  if (url.password !== '') throw badAddress('ssh://…', 'A password has no place in an address: use a key.');
  // ssh reads words that start with "-" as options, some of which run commands.
  if (!/^[A-Za-z0-9_:][A-Za-z0-9_.:%-]*$/.test(host))
    throw badAddress(text, 'The host name has characters that ssh cannot take.');
  if (user !== undefined && !/^[A-Za-z0-9_][A-Za-z0-9_.@\\-]*$/.test(user)) {
    throw badAddress(text, 'The user name has characters that ssh cannot take.');
  }
  // The remote shell interprets this word.
  if (remoteSocket !== undefined && !/^\/[A-Za-z0-9_./-]+$/.test(remoteSocket)) {
    throw badAddress(
      text,
      'The path of the far socket may hold letters, digits, "_", ".", "-" and "/" only.',
    );
  }
  return {
    kind: 'ssh',
    host,
    user,
    port: url.port === '' ? undefined : Number(url.port),
    remoteSocket,
    address: text,
    explicit: true,
  };
}

function readTlsVariables(env: Environment, configFolder: string): TlsMaterial | undefined {
  const verify = Boolean(env['DOCKER_TLS_VERIFY']);
  if (!verify && !env['DOCKER_TLS']) return undefined;
  const folder = env['DOCKER_CERT_PATH'];
  return readTlsFolder(folder || configFolder, { verify, required: Boolean(folder) });
}

function badAddress(text: string, hint: string): AppError {
  return new AppError('usage', `Cannot read the Docker address "${text}"`, { hint });
}
