import { once } from 'node:events';
import {
  createReadStream,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { join } from 'node:path';

/** What no good store does. */
export const storeFaults = [
  'fails',
  'stalls',
  'cuts an answer',
  'answers short',
  'answers wrong bytes',
  'is full',
  'loses the answer',
  'refuses to delete',
  'hides packs and indexes',
  'says stored and is not',
  'stores half of it',
] as const;

export type StoreFault = (typeof storeFaults)[number];

/** Faults after which the store does not hold what it has confirmed. */
export const lies: readonly StoreFault[] = ['says stored and is not', 'stores half of it'];

export interface FaultPlan {
  readonly fault: StoreFault;
  /** The first request that it can strike. */
  readonly from: number;
  /** How many requests it strikes. */
  readonly times: number;
  /** Any number; decides the position of a wrong bit. */
  readonly salt: number;
}

export interface FaultyStore extends AsyncDisposable {
  /** `http://127.0.0.1:port/` */
  readonly url: string;
  /** How often the plan has struck. */
  readonly struck: number;
  plan: FaultPlan | undefined;
}

type Kind = 'read' | 'write' | 'list' | 'delete' | 'look';

export const strikes: Readonly<Record<StoreFault, readonly Kind[]>> = {
  fails: ['read', 'write', 'list', 'delete', 'look'],
  stalls: ['read', 'write', 'list', 'delete'],
  'cuts an answer': ['read', 'list'],
  'answers short': ['read', 'list'],
  'answers wrong bytes': ['read'],
  'is full': ['write'],
  'loses the answer': ['write', 'delete'],
  'refuses to delete': ['delete'],
  'hides packs and indexes': ['list'],
  'says stored and is not': ['write'],
  'stores half of it': ['write'],
};

interface Request {
  readonly kind: Kind;
  readonly type: string;
  readonly file: string;
  readonly body: Buffer;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

/** A server that speaks restic's REST protocol over a folder, and fails by plan. */
export async function startFaultyStore(folder: string): Promise<FaultyStore> {
  let seen = 0;
  let struck = 0;
  let plan: FaultPlan | undefined;
  const server = createServer((request, response) => {
    void serve(request, response).catch((error: unknown) => {
      console.error(`The server failed at ${request.method} ${request.url}`, error);
      response.destroy();
    });
  });
  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const asked = understand(folder, { request, response, body: Buffer.concat(chunks) });
    if (asked === undefined) return void response.writeHead(404).end();
    const now = plan;
    // Locks keep programs apart: a store that loses them cannot be used safely.
    const canStrike = now !== undefined && strikes[now.fault].includes(asked.kind) && asked.type !== 'locks';
    const number = canStrike ? seen++ : -1;
    if (canStrike && number >= now.from && number < now.from + now.times && fits(now, asked)) {
      struck++;
      await strike(now, asked);
    } else answer(asked);
  };
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  return {
    url: `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}/`,
    get struck() {
      return struck;
    },
    get plan() {
      return plan;
    },
    set plan(next) {
      plan = next;
      seen = 0;
      struck = 0;
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

/** Hidden snapshots would let a prune remove their data, which nothing could notice. */
function fits({ fault }: FaultPlan, { type }: Request): boolean {
  return fault !== 'hides packs and indexes' || type === 'data' || type === 'index';
}

const types = ['keys', 'locks', 'snapshots', 'index', 'data'];

function understand(
  folder: string,
  { request, response, body }: Pick<Request, 'request' | 'response' | 'body'>,
): Request | undefined {
  const { pathname, searchParams } = new URL(request.url ?? '/', 'http://store');
  const method = request.method ?? '';
  const rest = { body, request, response };
  if (pathname === '/' && searchParams.get('create') === 'true') {
    for (const type of types) mkdirSync(join(folder, type), { recursive: true });
    return { kind: 'look', type: 'create', file: '', ...rest };
  }
  const [, type = '', name = ''] = /^\/([a-z]+)(?:\/([0-9a-f]*))?$/.exec(pathname) ?? [];
  if (type !== 'config' && !types.includes(type)) return undefined;
  if (type !== 'config' && name === '') return { kind: 'list', type, file: join(folder, type), ...rest };
  const file =
    type === 'config'
      ? join(folder, 'config')
      : join(folder, type, ...(type === 'data' ? [name.slice(0, 2)] : []), name);
  const kind =
    method === 'GET' ? 'read' : method === 'POST' ? 'write' : method === 'DELETE' ? 'delete' : 'look';
  return { kind, type, file, ...rest };
}

function answer({ kind, type, file, body, request, response }: Request): void {
  if (type === 'create') return void response.writeHead(200).end();
  if (kind === 'list') return sendList(response, listed(file, type));
  if (kind === 'write') {
    if (existsSync(file)) return void response.writeHead(403).end();
    store(file, body);
    return void response.writeHead(200).end();
  }
  if (!existsSync(file)) return void response.writeHead(404).end();
  if (kind === 'delete') {
    rmSync(file);
    return void response.writeHead(200).end();
  }
  const { size } = statSync(file);
  if (kind === 'look') return void response.writeHead(200, { 'content-length': size }).end();
  const range = rangeOf(request, size);
  // A file that was stored by half ends before what is asked for.
  if (range?.length === 0) return void response.writeHead(416).end();
  response.writeHead(range === undefined ? 200 : 206, { 'content-length': range?.length ?? size });
  createReadStream(file, range && { start: range.start, end: range.start + range.length - 1 }).pipe(response);
}

interface Listed {
  readonly name: string;
  readonly size: number;
}

function listed(folder: string, type: string): Listed[] {
  if (!existsSync(folder)) return [];
  const names =
    type === 'data' ? readdirSync(folder, { recursive: true, encoding: 'utf8' }) : readdirSync(folder);
  return names
    .filter((name) => /(^|\/)[0-9a-f]{64}$/.test(name))
    .map((name) => ({ name: name.slice(-64), size: statSync(join(folder, name)).size }));
}

function sendList(response: ServerResponse, files: readonly Listed[]): void {
  response.writeHead(200, { 'content-type': 'application/vnd.x.restic.rest.v2' }).end(JSON.stringify(files));
}

function store(file: string, body: Buffer): void {
  mkdirSync(join(file, '..'), { recursive: true });
  writeFileSync(`${file}.part`, body);
  renameSync(`${file}.part`, file);
}

function rangeOf(request: IncomingMessage, size: number): { start: number; length: number } | undefined {
  const [, first = '', last = ''] = /^bytes=(\d+)-(\d+)$/.exec(String(request.headers.range ?? '')) ?? [];
  if (first === '') return undefined;
  const start = Math.min(Number(first), size);
  return { start, length: Math.max(0, Math.min(Number(last), size - 1) - start + 1) };
}

async function strike(plan: FaultPlan, asked: Request): Promise<void> {
  const { file, body, response, request, type } = asked;
  switch (plan.fault) {
    case 'fails':
      return void response.writeHead(500).end('something broke');
    case 'stalls':
      await new Promise((resolve) => setTimeout(resolve, 400 + (plan.salt % 800)));
      return void (plan.salt % 2 === 0 ? answer(asked) : response.destroy());
    case 'is full':
      return void response.writeHead(507).end();
    case 'refuses to delete':
      return void response.writeHead(plan.salt % 2 === 0 ? 403 : 500).end();
    case 'loses the answer': {
      if (asked.kind === 'write') store(file, body);
      else rmSync(file, { force: true });
      return void response.destroy();
    }
    case 'says stored and is not':
      return void response.writeHead(200).end();
    case 'stores half of it':
      store(file, body.subarray(0, plan.salt % Math.max(1, body.length)));
      return void response.writeHead(200).end();
    case 'hides packs and indexes':
      return sendList(
        response,
        listed(file, type).filter((_, index) => index % 3 !== plan.salt % 3),
      );
    default: {
      if (asked.kind === 'list')
        return spoil(plan, response, Buffer.from(JSON.stringify(listed(file, type))));
      if (!existsSync(file)) return answer(asked);
      const whole = readFileSync(file);
      const range = rangeOf(request, whole.length);
      return spoil(
        plan,
        response,
        range === undefined ? whole : whole.subarray(range.start, range.start + range.length),
        range !== undefined,
      );
    }
  }
}

function spoil({ fault, salt }: FaultPlan, response: ServerResponse, content: Buffer, isRange = false): void {
  const status = isRange ? 206 : 200;
  const at = salt % Math.max(1, content.length);
  if (fault === 'cuts an answer') {
    response.writeHead(status, { 'content-length': content.length });
    response.write(content.subarray(0, at), () => response.destroy());
  } else if (fault === 'answers short') {
    response.writeHead(status, { 'content-length': at }).end(content.subarray(0, at));
  } else {
    const wrong = Buffer.from(content);
    wrong[at] = (wrong[at] ?? 0) ^ (1 << (salt % 8));
    response.writeHead(status, { 'content-length': wrong.length }).end(wrong);
  }
}
