import { hash } from 'node:crypto';
import { amount } from '../../model/size.ts';
import { AppError } from '../../model/errors.ts';
import { CheckReport, neverReady } from './check-report.ts';
import { encodeDumpName } from './dump-name.ts';
import type {
  CheckRequest,
  Dump,
  Made,
  Preset,
  PresetCheck,
  PresetServer,
  PresetSubject,
  Recognition,
} from './preset.ts';
import { endsWithLine, provenDump } from './proven-dump.ts';
import { findProgram, runClientWell } from './run-client.ts';
import { untilReady } from './until-ready.ts';

const magic = Buffer.from('SQLite format 3\0');
const busyMs = 10_000;

/**
 * SQLite: files that any program may have open. With its journal or log beside it, a database recovers from
 * files of one instant. Where the container has `sqlite3`, a checkpoint moves the log into the database
 * first, and a dump can be made. A dump is text that makes a new database; in-place restores use the files.
 */
export const sqlite: Preset = {
  name: 'sqlite',
  title: 'SQLite',
  recognises,
  before: checkpoint,
  dumps,
  check,
};

function recognises({ disk }: PresetSubject): Recognition | undefined {
  const files = [...(disk ?? [])].filter(([, head]) => magic.equals(head)).map(([path]) => path);
  const [first] = files;
  if (first === undefined) return undefined;
  const more = files.length > 1 ? ` and ${files.length - 1} more` : '';
  return { by: 'disk', folder: '', files, reason: `"${first}"${more} in the volume` };
}

function pathOf({ mountPath }: PresetServer, file: string): string {
  return `${mountPath === '/' ? '' : mountPath}/${file}`;
}

async function checkpoint(server: PresetServer): Promise<Made | undefined> {
  const program = await findProgram(server, ['sqlite3']);
  if (program === undefined) return undefined;
  for (const file of server.recognition.files) {
    const action = `Cannot checkpoint "${file}"`;
    const command = [
      'sqlite3',
      '-batch',
      '-cmd',
      `.timeout ${busyMs}`,
      pathOf(server, file),
      'PRAGMA wal_checkpoint;',
    ];
    await runClientWell(server, { command, action, withinMs: 60_000 });
  }
  return { evidence: `checkpoint of SQLite in "${server.container.name}"`, grade: 'crash' };
}

async function dumps(server: PresetServer): Promise<Dump[]> {
  return server.recognition.files.map((file) => ({
    name: nameOf(file),
    open: () =>
      provenDump(
        server,
        {
          command: [
            'sqlite3',
            '-batch',
            '-bail',
            '-cmd',
            `.timeout ${busyMs}`,
            pathOf(server, file),
            '.dump',
          ],
        },
        // After some errors it ends with a ROLLBACK, and of others it tells in comments only, with success.
        { subject: `"${file}"`, isWhole: endsWithLine('COMMIT;', /^$/), errorMark: '\n/****', tailBytes: 64 },
      ),
  }));
}

/** File names have at most 255 bytes. */
function nameOf(file: string): string {
  const name = encodeDumpName(file);
  return `sqlite.${name.length <= 200 ? name : hash('sha256', file, 'hex')}.sql`;
}

async function check(server: PresetServer, asked: CheckRequest): Promise<PresetCheck> {
  const find = async (): Promise<{ name: string }> => {
    const program = await findProgram(server, ['sqlite3']);
    if (program === undefined)
      throw new AppError('unsupported', `There is no "sqlite3" in "${server.container.name}" to ask`);
    return program;
  };
  const answer = await untilReady(server, asked.readyWithinMs, find);
  if (answer.value === undefined) return neverReady(answer.error);
  const report = new CheckReport(answer.readyAfterMs);
  const { files } = server.recognition;
  report.fact(amount(files.length, 'database'));
  for (const file of files) {
    const action = `Cannot check "${file}"`;
    const command = ['sqlite3', '-batch', '-bail', '-cmd', `.timeout ${busyMs}`, pathOf(server, file)];
    const text = `PRAGMA integrity_check(5);\nSELECT count(*) FROM sqlite_master WHERE type = 'table';\n`;
    try {
      const request = { command, stdin: text, action, withinMs: asked.countWithinMs };
      const lines = (await runClientWell(server, request)).trim().split('\n');
      if (lines[0] !== 'ok') report.problem(new Error(`"${file}": ${lines.slice(0, -1).join(', ')}`));
      report.count(`tables.${file}`, Number(lines.at(-1)));
    } catch (error) {
      if (server.signal?.aborted === true) throw error;
      report.problem(error);
    }
  }
  return report.done();
}
