import { AppError } from '../../model/errors.ts';

/** The flags of every command, before or after its name. */
export interface GlobalFlags {
  readonly repo?: string;
  readonly stateDir?: string;
  readonly config?: string;
  readonly host?: string;
  readonly format?: string;
  readonly passwordFile?: string;
  readonly passwordCommand?: string;
  readonly quiet?: boolean;
  readonly yes?: boolean;
}

const asText = (input: string): string => input;

const textFlag = (brief: string, placeholder: string) =>
  ({ kind: 'parsed', parse: asText, optional: true, hidden: true, brief, placeholder }) as const;

const switchFlag = (brief: string) =>
  ({ kind: 'boolean', optional: true, hidden: true, withNegated: false, brief }) as const;

/** Hidden in each command's help, and explained once, in that of `holdfast` itself. */
export const globalFlagParameters = {
  repo: textFlag('Repository: a name or a location', 'URL'),
  stateDir: textFlag('Where Holdfast keeps its catalog, keys and embedded volumes', 'DIR'),
  config: textFlag('Configuration file', 'FILE'),
  host: textFlag('Where containers run: auto, docker, podman or embedded', 'HOST'),
  format: textFlag('table or json', 'FORMAT'),
  passwordFile: textFlag("File that holds the repository's password", 'FILE'),
  passwordCommand: textFlag("Command that prints the repository's password", 'COMMAND'),
  quiet: switchFlag('Print names or ids only, and no progress'),
  yes: switchFlag('Do not ask'),
};

export const globalAliases = { q: 'quiet', y: 'yes' } as const;

export const globalFlagsHelp = `These flags work with every command, before or after its name:
  --repo URL               Repository: a name or a location
  --state-dir DIR          Where Holdfast keeps its catalog, keys and embedded
                           volumes
  --config FILE            Configuration, instead of holdfast.yaml in the state
                           folder or /etc/holdfast
  --host HOST              auto, docker, podman or embedded
  --password-file FILE     File that holds the repository's password
  --password-command CMD   Command that prints the repository's password
  --format table|json      How results are printed; json is one document
  -q, --quiet              Names or ids only, and no progress
  -y, --yes                Do not ask
Variables set some of them: HOLDFAST_REPOSITORY, HOLDFAST_STATE_DIR,
HOLDFAST_CONFIG, HOLDFAST_HOST, HOLDFAST_PASSWORD_FILE,
HOLDFAST_PASSWORD_COMMAND.`;

type TextFlag = 'repo' | 'stateDir' | 'config' | 'host' | 'format' | 'passwordFile' | 'passwordCommand';

const textFlags: Readonly<Record<string, TextFlag>> = {
  '--repo': 'repo',
  '--state-dir': 'stateDir',
  '--config': 'config',
  '--host': 'host',
  '--format': 'format',
  '--password-file': 'passwordFile',
  '--password-command': 'passwordCommand',
};

const switches: Readonly<Record<string, 'quiet' | 'yes'>> = {
  '--quiet': 'quiet',
  '-q': 'quiet',
  '--yes': 'yes',
  '-y': 'yes',
};

/** Takes the global flags before the command's name. */
export function takeLeadingFlags(inputs: readonly string[]): {
  readonly flags: GlobalFlags;
  readonly rest: readonly string[];
} {
  let flags: GlobalFlags = {};
  let index = 0;
  for (;;) {
    const found = globalFlagAt(inputs, index);
    if (found === undefined) return { flags, rest: inputs.slice(index) };
    flags = { ...flags, ...found.flag };
    index += found.words;
  }
}

/** The global flag at this place, and how many words it takes with its value. */
export function globalFlagAt(
  inputs: readonly string[],
  index: number,
): { readonly flag: GlobalFlags; readonly words: 1 | 2 } | undefined {
  const input = inputs[index] ?? '';
  if (!input.startsWith('-')) return undefined;
  const toggle = switches[input];
  if (toggle !== undefined) return { flag: { [toggle]: true }, words: 1 };
  const [name, inline] = splitInline(input);
  const text = textFlags[name];
  if (text === undefined) return undefined;
  const value = inline ?? inputs[index + 1];
  if (value === undefined || value === '') throw new AppError('usage', `Flag "${name}" needs a value`);
  return { flag: { [text]: value }, words: inline === undefined ? 2 : 1 };
}

/** Flags after the command's name win over those before it. */
export function mergeFlags(leading: GlobalFlags, own: GlobalFlags): GlobalFlags {
  const given = Object.entries(own).filter(
    ([name, value]) => name in globalFlagParameters && value !== undefined,
  );
  return { ...leading, ...Object.fromEntries(given) };
}

function splitInline(input: string): [string, string | undefined] {
  const at = input.indexOf('=');
  return at < 0 ? [input, undefined] : [input.slice(0, at), input.slice(at + 1)];
}
