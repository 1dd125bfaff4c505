import { Agent, type AgentOptions, type ClientRequestArgs } from 'node:http';
import { Agent as TlsAgent } from 'node:https';
import type { DockerEndpoint } from './endpoint.ts';
import { openSshConnection } from './ssh-connection.ts';

/** How `node:http` reaches an engine. */
export interface EngineConnection {
  readonly agent: Agent;
  readonly protocol: 'http:' | 'https:';
  readonly address: Pick<ClientRequestArgs, 'socketPath' | 'host' | 'port'>;
  readonly basePath: string;
}

/** Connects to nothing yet: sockets open with the first request. */
export function openEngineConnection(endpoint: DockerEndpoint): EngineConnection {
  const options: AgentOptions = { keepAlive: true, maxSockets: 64 };
  switch (endpoint.kind) {
    case 'unix':
      return { agent: new Agent(options), protocol: 'http:', address: { socketPath: endpoint.socketPath }, basePath: '' };
    case 'tcp': {
      const { tls, host, port, basePath } = endpoint;
      const address = { host, port };
      if (tls === undefined) return { agent: new Agent(options), protocol: 'http:', address, basePath };
      const agent = new TlsAgent({
        ...options,
        rejectUnauthorized: tls.verify,
        ...(tls.ca === undefined ? {} : { ca: tls.ca }),
        ...(tls.cert === undefined ? {} : { cert: tls.cert }),
        ...(tls.key === undefined ? {} : { key: tls.key }),
      });
      return { agent, protocol: 'https:', address, basePath };
    }
    case 'ssh': {
      const agent = new Agent(options);
      agent.createConnection = () => openSshConnection(endpoint);
      return { agent, protocol: 'http:', address: { host: 'docker' }, basePath: '' };
    }
  }
}
