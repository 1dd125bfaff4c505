import { amount } from '../../model/size.ts';
import { AppError } from '../../model/errors.ts';
import { quote } from '../../model/quote.ts';
import { CheckReport, neverReady } from './check-report.ts';
import type {
  CheckRequest,
  DiskEvidence,
  Dump,
  DumpToRestore,
  Made,
  Preset,
  PresetCheck,
  PresetServer,
} from './preset.ts';
import { provenDump } from './proven-dump.ts';
import { type FoundOnDisk, below, folderWith, recogniseBy } from './recognise.ts';
import { clientFailed, findProgram, runClient } from './run-client.ts';
import { labelledLogin, loginHint, secretOf } from './secret-of.ts';
import { untilReady } from './until-ready.ts';

const images = [
  'mongo',
  'mongodb',
  'mongodb-community-server',
  'mongodb-enterprise-server',
  'mongodb-sharded',
  'percona-server-mongodb',
];

const dumpName = 'mongodb.archive';
/** `mongodump --archive` begins with this number, and ends each block with four bytes of ones. */
const archiveMagic = Buffer.from([0x6d, 0xe2, 0x99, 0x81]);
const terminator = Buffer.from([0xff, 0xff, 0xff, 0xff]);

/**
 * MongoDB, written from its documentation and that of its tools, and not run against a real server. With its
 * journal it recovers from files of one instant; `fsync` before makes that short. `fsyncLock` is not used,
 * because the lock would outlive Holdfast.
 */
export const mongodb: Preset = {
  name: 'mongodb',
  title: 'MongoDB',
  recognises: (subject) => recogniseBy(subject, { images, findOnDisk }),
  before: flush,
  dumps,
  restoreDump,
  check,
};

function findOnDisk(disk: DiskEvidence): FoundOnDisk | undefined {
  const folder = folderWith(disk, ['WiredTiger']);
  return folder === undefined ? undefined : { folder, sign: below(folder, 'WiredTiger') };
}

interface Login {
  readonly user: string | undefined;
  readonly password: string;
}

async function loginOf(server: PresetServer): Promise<Login> {
  const labelled = await labelledLogin(server);
  const user = await secretOf(server, [
    'MONGO_INITDB_ROOT_USERNAME',
    'MONGODB_INITDB_ROOT_USERNAME',
    'MONGODB_ROOT_USER',
  ]);
  const password = await secretOf(server, [
    'MONGO_INITDB_ROOT_PASSWORD',
    'MONGODB_INITDB_ROOT_PASSWORD',
    'MONGODB_ROOT_PASSWORD',
  ]);
  // Bitnami's image has a password, and its own name for the user.
  const fallback = password === undefined ? undefined : 'root';
  return { user: labelled.user ?? user ?? fallback, password: labelled.password ?? password ?? '' };
}

/** The shell is JavaScript and takes the address from its environment, where no process list shows it. */
async function evaluate(server: PresetServer, script: string, withinMs: number): Promise<string> {
  const found = await findProgram(server, ['mongosh', 'mongo']);
  const place = quote(server.container.name);
  if (found === undefined)
    throw new AppError('unsupported', `There is neither "mongosh" nor "mongo" in ${place}`);
  if (found.name === 'mongo')
    throw new AppError('unsupported', `The shell "mongo" in ${place} is too old: Holdfast needs "mongosh"`);
  const { user, password } = await loginOf(server);
  const account = user === undefined ? '' : `${encodeURIComponent(user)}:${encodeURIComponent(password)}@`;
  const address = `mongodb://${account}127.0.0.1:27017/admin?directConnection=true`;
  const result = await runClient(server, {
    command: [
      found.name,
      '--quiet',
      '--norc',
      '--nodb',
      '--eval',
      `db = connect(process.env.HOLDFAST_MONGODB); ${script}`,
    ],
    environment: { HOLDFAST_MONGODB: address },
    withinMs,
  });
  if (result.exitCode === 0) return result.stdout.trim();
  const said = `${result.stdout}\n${result.stderr}`.trim();
  if (/ECONNREFUSED|ENOENT/.test(said))
    throw new AppError('unavailable', `MongoDB in ${place} does not answer yet`, { detail: said });
  if (/Authentication failed|requires authentication/i.test(said))
    throw new AppError('denied', `Cannot log in to MongoDB in ${place}`, { detail: said, hint: loginHint });
  throw new AppError('failed', `Cannot ask MongoDB in ${place}`, { detail: said });
}

async function flush(server: PresetServer): Promise<Made> {
  await evaluate(
    server,
    `const made = db.adminCommand({ fsync: 1 }); if (made.ok !== 1) { print(made.errmsg); quit(1); }`,
    600_000,
  );
  return { evidence: `fsync in "${server.container.name}"`, grade: 'crash' };
}

const unreadable = [0, 3, 4, 8, 10, 13, 127];

/** The tools prompt for a password that no option gives, and read it from stdin up to a line end. */
async function toolOf(
  server: PresetServer,
  name: string,
): Promise<{ command: string[]; passwordLine: string }> {
  if ((await findProgram(server, [name])) === undefined)
    throw new AppError('unsupported', `There is no "${name}" in ${quote(server.container.name)}`);
  const { user, password } = await loginOf(server);
  if (user === undefined) return { command: [name, '--archive'], passwordLine: '' };
  // Line ends, and the characters that erase.
  if (unreadable.some((code) => password.includes(String.fromCharCode(code))))
    throw new AppError('unsupported', `The password of MongoDB has a character that "${name}" cannot read`);
  return {
    command: [name, '--archive', `--username=${user}`, '--authenticationDatabase=admin'],
    passwordLine: `${password}\n`,
  };
}

async function dumps(server: PresetServer): Promise<Dump[]> {
  const { command, passwordLine } = await toolOf(server, 'mongodump');
  return [
    {
      name: dumpName,
      open: () =>
        provenDump(
          server,
          { command, stdin: passwordLine },
          {
            subject: `MongoDB in ${quote(server.container.name)}`,
            start: archiveMagic,
            isWhole: (tail) => tail.equals(terminator),
            tailBytes: terminator.length,
          },
        ),
    },
  ];
}

/** Collection by collection: each one in the dump is dropped and recreated. */
async function restoreDump(server: PresetServer, { name, body }: DumpToRestore): Promise<void> {
  if (name !== dumpName)
    throw new AppError('usage', `${quote(name)} is no dump of MongoDB that Holdfast has made`);
  const { command, passwordLine } = await toolOf(server, 'mongorestore');
  const request = { command: [...command, '--drop'], stdin: after(passwordLine, body) };
  const result = await runClient(server, request);
  if (result.exitCode === 0) return;
  const action = 'Cannot restore the dump, and collections that came before are restored already';
  throw clientFailed({ ...request, ...result, action, container: server.container.name });
}

async function* after(
  text: string,
  body: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array, void, undefined> {
  if (text !== '') yield Buffer.from(text, 'utf8');
  yield* body;
}

const count = `const counts = {}; for (const { name } of db.adminCommand({ listDatabases: 1, nameOnly: true }).databases) {
  if (['admin', 'local', 'config'].includes(name)) continue;
  const other = db.getSiblingDB(name);
  for (const collection of other.getCollectionNames()) {
    if (collection.startsWith('system.')) continue;
    counts[name + '.' + collection] = Number(other.getCollection(collection).countDocuments({}));
  }
} print(JSON.stringify(counts));`;

async function check(server: PresetServer, asked: CheckRequest): Promise<PresetCheck> {
  const ping = async (): Promise<object> => ({
    pong: await evaluate(server, 'db.adminCommand({ ping: 1 });', 30_000),
  });
  const answer = await untilReady(server, asked.readyWithinMs, ping);
  if (answer.value === undefined) return neverReady(answer.error);
  const report = new CheckReport(answer.readyAfterMs);
  try {
    const lines = (await evaluate(server, count, asked.countWithinMs)).split('\n');
    const counts = JSON.parse(lines.at(-1) ?? '') as Record<string, number>;
    let documents = 0;
    for (const [name, number] of Object.entries(counts)) {
      report.count(`documents.${name}`, number);
      documents += number;
    }
    report.fact(amount(Object.keys(counts).length, 'collection'));
    report.fact(amount(documents, 'document'));
    report.count('documents', documents);
  } catch (error) {
    if (server.signal?.aborted === true) throw error;
    report.problem(error);
  }
  return report.done();
}
