import { Agent, type AgentOptions, type ClientRequestArgs } from 'node:http';
import { isIP } from 'node:net';
import { AppError } from '../../model/errors.ts';
import type { DockerEndpoint } from './endpoint.ts';

/** How `node:http` reaches an engine. */
export interface EngineConnection {
  readonly agent: Agent;
  readonly protocol: 'http:' | 'https:';
  readonly address: Pick<ClientRequestArgs, 'socketPath' | 'host' | 'port'>;
  readonly basePath: string;
  /** The Host header, where there is no host name. */
  readonly hostHeader?: string;
}

const anyHost = { basePath: '', hostHeader: 'docker' };

/** Does not connect yet: sockets open with the first request. */
export function openEngineConnection(endpoint: DockerEndpoint): EngineConnection {
  const options: AgentOptions = { keepAlive: true, maxSockets: 64 };
  switch (endpoint.kind) {
    case 'unix':
      return {
        agent: new Agent(options),
        protocol: 'http:',
        address: { socketPath: endpoint.socketPath },
        ...anyHost,
      };
    case 'tcp': {
      const { tls, host, port, basePath } = endpoint;
      const address = { host, port };
      if (tls === undefined) return { agent: new Agent(options), protocol: 'http:', address, basePath };
      // Loaded on demand: loading TLS takes time, and most engines are reached without it.
      const { Agent: TlsAgent } = process.getBuiltinModule('node:https');
      const agent = new TlsAgent({
        ...options,
        rejectUnauthorized: tls.verify,
        // The name to verify is the one that we connect to, whatever a header says.
        ...(isIP(host) === 0 ? { servername: host } : {}),
        ...(tls.ca === undefined ? {} : { ca: tls.ca }),
        ...(tls.cert === undefined ? {} : { cert: tls.cert }),
        ...(tls.key === undefined ? {} : { key: tls.key }),
      });
      return { agent, protocol: 'https:', address, basePath };
    }
    case 'ssh': {
      const agent = new Agent(options);
      agent.createConnection = (_options, give) => {
        import('./ssh-connection.ts').then(
          ({ openSshConnection }) => give?.(null, openSshConnection(endpoint)),
          (error: unknown) => give?.(error as Error, undefined as never),
        );
        return undefined;
      };
      return { agent, protocol: 'http:', address: { host: 'docker' }, ...anyHost };
    }
  }
}

/** The newest and oldest API versions that this program supports. */
const newestVersion = '1.45';
const oldestVersion = '1.40';

/** The version to use with an engine that offers `offered`. `address` is for the message. */
export function chooseVersion(offered: string, address: string): string {
  if (compareVersions(offered, oldestVersion) < 0) {
    throw new AppError(
      'unsupported',
      `The engine at "${address}" is too old: its API version is ${offered}`,
      {
        hint: `Version ${oldestVersion} (Docker 19.03) or newer is needed.`,
      },
    );
  }
  return compareVersions(offered, newestVersion) < 0 ? offered : newestVersion;
}

function compareVersions(left: string, right: string): number {
  const [leftMajor = 0, leftMinor = 0] = left.split('.').map(Number);
  const [rightMajor = 0, rightMinor = 0] = right.split('.').map(Number);
  return leftMajor - rightMajor || leftMinor - rightMinor;
}
