import {
  type Aliases,
  type BaseFlags,
  type Command,
  type FlagParametersForType,
  buildCommand,
} from '@stricli/core';
import type { RecoveryPlace } from '../../app/app.ts';
import { withPlaceholders, wrapText } from './command-help.ts';
import type { CliContext } from './context.ts';
import { globalAliases, globalFlagParameters } from './global-flags.ts';
import { type Session, withSession } from './session.ts';

/** A command's action; the session is open. */
export type Action<Flags> = (session: Session, flags: Flags, args: readonly string[]) => Promise<void>;

export interface ArgumentSpec {
  readonly placeholder: string;
  readonly brief: string;
  readonly kind?: 'required' | 'optional' | 'many' | 'any';
  /** What the shell completes here. */
  readonly completes?: 'volume' | 'snapshot' | 'target' | 'path' | 'repository' | 'policy';
}

export interface CommandSpec<Flags extends object> {
  readonly brief: string;
  readonly description?: string;
  readonly usage?: readonly string[];
  readonly flags: FlagParametersForType<Flags, CliContext>;
  readonly aliases?: Aliases<keyof Flags & string>;
  readonly args: readonly ArgumentSpec[];
  /** Its own forms of output for `--format`, besides table and json. */
  readonly forms?: readonly string[];
  /** It runs until it is stopped, and must not make other commands wait. */
  readonly stays?: boolean;
  /** It also works with a state folder that cannot be written. */
  readonly onlyReads?: boolean;
  /** Where it works, in order: killed work there is settled first. Default: the host. */
  readonly recovers?: readonly RecoveryPlace[];
  /** Loaded when the command runs, so that the start is fast. */
  readonly load: () => Promise<Action<Flags>>;
}

const everywhere = 'The flags that every command takes are shown by "holdfast --help".';

/** A command with the global flags, run inside a session. */
export function defineCommand<Flags extends object = object>(
  spec: CommandSpec<Flags>,
): () => Command<CliContext> {
  return () => build(spec);
}

function build<Flags extends object>(spec: CommandSpec<Flags>): Command<CliContext> {
  const parameters = {
    flags: { ...spec.flags, ...globalFlagParameters },
    aliases: { ...globalAliases, ...spec.aliases },
    positional: positionalParameters(spec.args),
  };
  const command = buildCommand<BaseFlags, readonly string[], CliContext>({
    // The library's types follow one command's flags; here they are combined with the global ones, so the
    // spec above is what is type-checked.
    parameters: parameters as never,
    docs: {
      brief: spec.brief,
      // Only when it is shown.
      get fullDescription() {
        return wrapText(`${spec.description ?? `${spec.brief}.`}\n\n${everywhere}`);
      },
      ...(spec.usage === undefined ? {} : { customUsage: spec.usage }),
    },
    loader: async () => {
      const action = await spec.load();
      return async function run(
        this: CliContext,
        flags: BaseFlags,
        ...args: readonly string[]
      ): Promise<void> {
        await withSession(this, flags, (session) => action(session, flags as Flags, args), spec);
      };
    },
  });
  return withPlaceholders(command, parameters.flags, parameters.aliases);
}

function positionalParameters(args: readonly ArgumentSpec[]): object {
  const [first] = args;
  if (args.length === 1 && first !== undefined && (first.kind === 'many' || first.kind === 'any')) {
    return { kind: 'array', parameter: positionalParameter(first), minimum: first.kind === 'many' ? 1 : 0 };
  }
  return { kind: 'tuple', parameters: args.map(positionalParameter) };
}

function positionalParameter(spec: ArgumentSpec): object {
  return {
    brief: spec.brief,
    placeholder: spec.placeholder,
    parse: (input: string) => input,
    ...(spec.kind === 'optional' ? { optional: true } : {}),
    ...(spec.completes === undefined ? {} : { proposeCompletions: proposer(spec.completes) }),
  };
}

function proposer(kind: NonNullable<ArgumentSpec['completes']>) {
  return async function propose(this: CliContext, partial: string): Promise<readonly string[]> {
    const { proposeValues } = await import('./propose-values.ts');
    return proposeValues(this, { kind, partial });
  };
}

export function textFlag(brief: string, placeholder: string) {
  return { kind: 'parsed', parse: (input: string) => input, optional: true, brief, placeholder } as const;
}

/** A flag with a value that may be repeated. */
export function listFlag(brief: string, placeholder: string) {
  return {
    kind: 'parsed',
    parse: (input: string) => input,
    optional: true,
    variadic: true,
    brief,
    placeholder,
  } as const;
}

export function switchFlag(brief: string) {
  return { kind: 'boolean', optional: true, withNegated: false, brief } as const;
}
