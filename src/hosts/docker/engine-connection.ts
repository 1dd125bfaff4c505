import { Agent, type AgentOptions, type ClientRequestArgs } from 'node:http';
import { isIP } from 'node:net';
import type { DockerEndpoint } from './endpoint.ts';

/** How `node:http` reaches an engine. */
export interface EngineConnection {
  readonly agent: Agent;
  readonly protocol: 'http:' | 'https:';
  readonly address: Pick<ClientRequestArgs, 'socketPath' | 'host' | 'port'>;
  readonly basePath: string;
  /** A value for the header Host where there is no name of a host. */
  readonly hostHeader?: string;
}

const anyHost = { basePath: '', hostHeader: 'docker' };

/** Connects to nothing yet: sockets open with the first request. */
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
      // Loaded when it is needed: TLS takes its time, and most engines are reached without it.
      const { Agent: TlsAgent } = process.getBuiltinModule('node:https');
      const agent = new TlsAgent({
        ...options,
        rejectUnauthorized: tls.verify,
        // The name to check is the one that we connect to, whatever a header says.
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
