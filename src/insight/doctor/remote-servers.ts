import { connect } from 'node:net';
import type { MountPoint } from '../../lib/mountinfo.ts';
import { runProgram } from '../../lib/run-program.ts';
import { toText } from '../../model/byte-string.ts';
import { isAppError } from '../../model/errors.ts';
import { quote } from '../../model/quote.ts';
import type { Volume } from '../../model/volume.ts';
import type { Diagnosis, DoctorFinding } from './diagnosis.ts';

/** The server of a remote storage. */
export interface RemoteServer {
  readonly name: string;
  readonly port: number;
  /** `NFS` or `CIFS`. */
  readonly protocol: string;
}

const patienceMs = 4000;

/** Whether the names of remote storage lead to a machine, and whether its port answers. */
export async function diagnoseServers(
  volumes: readonly Volume[],
  mounts: readonly MountPoint[],
  signal: AbortSignal | undefined,
): Promise<Diagnosis> {
  const users = new Map<string, { server: RemoteServer; names: string[] }>();
  const add = (server: RemoteServer | undefined, user: string): void => {
    if (server === undefined) return;
    const key = JSON.stringify(server);
    const known = users.get(key) ?? { server, names: [] };
    users.set(key, { ...known, names: [...known.names, user] });
  };
  for (const { name, options } of volumes) add(serverOfOptions(options), `volume ${quote(name)}`);
  for (const mount of mounts) add(serverOfMount(mount), `mount ${quote(toText(mount.path))}`);
  const found = await Promise.all(
    [...users.values()].map(async ({ server, names }) => {
      const fault = await faultOf(server, signal);
      return fault === undefined ? [] : [findingOf(server, fault, names)];
    }),
  );
  return { findings: found.flat(), notLookedAt: [] };
}

/** Of a volume of Docker's driver `local`, or of one of ours with the same options; pure. */
export function serverOfOptions(options: Readonly<Record<string, string>>): RemoteServer | undefined {
  const { type = '', device = '', o = '' } = options;
  const set = new Map(
    o.split(',').map((one): [string, string] => {
      const [name = '', value = ''] = one.split('=', 2);
      return [name, value];
    }),
  );
  if (set.get('proto') === 'udp') return undefined;
  const given = set.get('addr') ?? set.get('ip');
  if (/^nfs4?$/.test(type)) {
    const name = given ?? hostBefore(device);
    return name === undefined || name === '' ? undefined : { name, port: portOf(set, 2049), protocol: 'NFS' };
  }
  if (!/^(?:cifs|smb3)$/.test(type)) return undefined;
  const name = given ?? /^\/\/([^/]+)\//.exec(device)?.[1];
  return name === undefined ? undefined : { name, port: portOf(set, 445), protocol: 'CIFS' };
}

function portOf(options: ReadonlyMap<string, string>, usual: number): number {
  const port = Number(options.get('port'));
  return Number.isInteger(port) && port > 0 && port < 65_536 ? port : usual;
}

/** `server:/path`, `[fe80::1]:/path`. */
function hostBefore(device: string): string | undefined {
  return (/^\[([^\]]+)\]:\//.exec(device) ?? /^([^:/]+):\//.exec(device))?.[1];
}

function serverOfMount({ type, source }: MountPoint): RemoteServer | undefined {
  return serverOfOptions({ type, device: toText(source) });
}

type Fault = { readonly kind: 'name' | 'port'; readonly reason: string };

async function faultOf(
  { name, port }: RemoteServer,
  signal: AbortSignal | undefined,
): Promise<Fault | undefined> {
  const address = await addressOf(name, signal);
  if (typeof address !== 'string') return address;
  const reason = await whyNoAnswer(address, port);
  return reason === undefined ? undefined : { kind: 'port', reason };
}

/** By a process of its own: a name server that does not answer would hold this one's end up. */
async function addressOf(name: string, signal: AbortSignal | undefined): Promise<string | Fault> {
  if (name.startsWith('-')) return { kind: 'name', reason: 'it is no name' };
  try {
    const { status, stdout } = await runProgram('getent', ['ahosts', name], {
      timeoutMs: patienceMs,
      signal,
    });
    const [address] = /^\S+/.exec(stdout) ?? [];
    return status === 0 && address !== undefined
      ? address
      : { kind: 'name', reason: 'no name server gives its address' };
  } catch (error) {
    if (isAppError(error, 'unavailable')) return { kind: 'name', reason: 'no name server answers' };
    throw error;
  }
}

function whyNoAnswer(host: string, port: number): Promise<string | undefined> {
  const { promise, resolve } = Promise.withResolvers<string | undefined>();
  const socket = connect({ host, port });
  socket.setTimeout(patienceMs, () => resolve(`no answer within ${patienceMs / 1000} seconds`));
  socket.on('connect', () => resolve(undefined));
  socket.on('error', ({ message }) => resolve(message));
  return promise.finally(() => socket.destroy());
}

function findingOf(
  { name, port, protocol }: RemoteServer,
  { kind, reason }: Fault,
  users: readonly string[],
): DoctorFinding {
  const isName = kind === 'name';
  return {
    id: isName ? 'HF-D050' : 'HF-D051',
    rule: isName ? 'server-unknown' : 'server-silent',
    severity: 'downtime',
    subject: { kind: 'host', name },
    message: isName
      ? `The ${protocol} server ${quote(name)} cannot be found: ${reason}`
      : `Port ${port} of the ${protocol} server ${quote(name)} does not answer: ${reason}`,
    meaning: 'What lies there cannot be mounted, and what is mounted hangs.',
    evidence: users.map((user) => `used by ${user}`),
    remedy: isName
      ? 'Give the name to the name server or to /etc/hosts, or correct it in the volume.'
      : 'Start the service on the server, and let the port through its firewall.',
    commands: isName ? [['getent', 'ahosts', name]] : [['nc', '-zv', name, String(port)]],
    position: undefined,
    fix: undefined,
  };
}
