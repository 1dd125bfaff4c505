import { parseArgs } from 'node:util';
import { AppError } from '../src/model/errors.ts';

export interface BenchOptions {
  /** 1 is 5.6 GB of data. */
  readonly scale: number;
  readonly rounds: number;
  readonly seed: string;
  /** The path of the JSON; by default a file in `bench-results/`. */
  readonly json: string | undefined;
  /** The parent of the temporary folder. */
  readonly folder: string | undefined;
  /**
   * Names as in the report, in any case and without options: `cp`, `tar`, `restic`, `borg`. Undefined for
   * all.
   */
  readonly peers: readonly string[] | undefined;
  readonly install: boolean;
  readonly withDocker: boolean;
  readonly help: boolean;
}

export const benchHelp = `npm run bench                          measures Holdfast beside cp, tar, restic and borg
npm run bench -- --scale 1             the full size: 118,000 files of 2.6 GB, a database of 2 GB, 1 GB of media
npm run bench -- --rounds 5            more rounds (3)
npm run bench -- --peers restic,borg   only these beside Holdfast
npm run bench -- --dir DIR             make the data and the repositories below DIR (the system's temporary folder)
npm run bench -- --json FILE           where the numbers go (bench-results/TIME.json)
npm run bench -- --seed TEXT           other data (holdfast)
npm run bench -- --with-docker         also list 2,000 volumes of a Docker Engine of its own (root, docker.io)
npm run bench -- --no-install          install nothing, skip what is missing
npm run bench -- volumes               measures volumes beside dockerd's instead (--help shows how)
npm run bench -- fio                   compares "holdfast bench" with fio by hand instead (--help shows how)`;

/** `usage` for invalid arguments. */
export function parseBenchOptions(args: readonly string[], defaults = { rounds: '3' }): BenchOptions {
  const values = parse(args, defaults);
  return {
    scale: positive('scale', values.scale),
    rounds: positive('rounds', values.rounds, { whole: true }),
    seed: values.seed,
    json: values.json,
    folder: values.dir,
    peers: values.peers?.split(',').map((name) => name.trim().toLowerCase()),
    install: !values['no-install'],
    withDocker: values['with-docker'],
    help: values.help,
  };
}

function parse(args: readonly string[], defaults: { readonly rounds: string }) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        scale: { type: 'string', default: '0.2' },
        rounds: { type: 'string', default: defaults.rounds },
        seed: { type: 'string', default: 'holdfast' },
        json: { type: 'string' },
        dir: { type: 'string' },
        peers: { type: 'string' },
        'no-install': { type: 'boolean', default: false },
        'with-docker': { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    }).values;
  } catch (error) {
    throw new AppError('usage', error instanceof Error ? error.message : String(error), {
      hint: 'npm run bench -- --help lists the options.',
    });
  }
}

function positive(name: string, text: string, { whole = false } = {}): number {
  const number = Number(text);
  if (text.trim() !== '' && number > 0 && number <= 1000 && (!whole || Number.isInteger(number)))
    return number;
  throw new AppError('usage', `Cannot read --${name} "${text}"`, {
    hint: `Write a${whole ? ' whole' : ''} number above 0.`,
  });
}
