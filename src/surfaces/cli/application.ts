import {
  ArgumentScannerError,
  type Application,
  buildApplication,
  formatMessageForArgumentScannerError,
  help,
  text_en,
  type PartialApplicationConfiguration,
  version as showVersion,
} from '@stricli/core';
import { version } from '../../lib/version.ts';
import { paintFor, paintMessage } from './colour.ts';
import { kebab } from './command-help.ts';
import type { CliContext } from './context.ts';
import { defineGroup } from './define-group.ts';
import { globalFlagsHelp } from './global-flags.ts';
import { auditRoutes } from './definitions/audit.ts';
import { composeRoutes } from './definitions/compose.ts';
import { doctorRoutes } from './definitions/doctor.ts';
import { benchRoutes } from './definitions/bench.ts';
import { metricsRoutes } from './definitions/metrics.ts';
import { policyRoutes } from './definitions/policy.ts';
import { proofRoutes } from './definitions/proof.ts';
import { protectRoutes } from './definitions/protect.ts';
import { repoRoutes } from './definitions/repo.ts';
import { retentionRoutes } from './definitions/retention.ts';
import { serviceRoutes } from './definitions/services.ts';
import { setupRoutes } from './definitions/setup.ts';
import { toolRoutes } from './definitions/tools.ts';
import { trashRoutes } from './definitions/trash.ts';
import { undoRoutes } from './definitions/undo.ts';
import { upkeepRoutes } from './definitions/upkeep.ts';
import { usageRoutes } from './definitions/usage.ts';
import { volumeRoutes } from './definitions/volume.ts';
import { wordRoutes } from './definitions/word.ts';
import { exitNumberOf, formatError } from './report-error.ts';

const routes = {
  ...setupRoutes,
  ...protectRoutes,
  ...undoRoutes,
  ...proofRoutes,
  ...retentionRoutes,
  ...upkeepRoutes,
  ...repoRoutes,
  ...policyRoutes,
  ...usageRoutes,
  ...metricsRoutes,
  ...benchRoutes,
  ...wordRoutes,
  ...auditRoutes,
  ...doctorRoutes,
  compose: composeRoutes,
  volume: volumeRoutes,
  ...trashRoutes,
  ...serviceRoutes,
  ...toolRoutes,
};

const docs = {
  brief: 'The volume manager for containers',
  fullDescription: `The volume manager for containers: it finds every place where a\ncontainer keeps data, and keeps that data safe.\n\n${globalFlagsHelp}`,
  hideRoute: { __complete: true },
};

const debug = Boolean(process.env['HOLDFAST_DEBUG']);

const formatting = {
  caseStyle: 'convert-camel-to-kebab',
  onlyRequiredInUsageLine: true,
  useAliasInUsageLine: false,
} as const;

const integrations = {
  help: help<CliContext>({ brief: 'Show how it is used', defaultForRouteMap: true, formatting }),
  version: showVersion<CliContext>({ brief: 'Show the version', info: { currentVersion: version } }),
};

const settings: PartialApplicationConfiguration = {
  name: 'holdfast',
  scanner: {
    caseStyle: 'allow-kebab-for-camel',
    allowArgumentEscapeSequence: true,
    // The library's own limit suggests "create" for "remov".
    distanceOptions: {
      threshold: 4,
      weights: { insertion: 1, deletion: 2, substitution: 2, transposition: 0 },
    },
  },
  documentation: { disableAnsiColor: true },
  determineExitCode: exitNumberOf,
  localization: {
    text: {
      ...text_en,
      briefs: {
        ...text_en.briefs,
        argumentEscapeSequence: 'What follows is arguments, and no flags',
      },
      noCommandRegisteredForInput: ({ input, corrections }) =>
        usageError(
          `There is no command "${input}"`,
          corrections.map((name) => name.replaceAll('`', '"')),
        ),
      exceptionWhileParsingArguments: (error) =>
        error instanceof ArgumentScannerError
          ? `holdfast: ${formatMessageForArgumentScannerError(error, argumentErrors)}`
          : inRed(formatError(error, debug)),
      exceptionWhileLoadingCommandFunction: (error) => inRed(formatError(error, debug)),
      exceptionWhileLoadingCommandContext: (error) => inRed(formatError(error, debug)),
      exceptionWhileRunningCommand: (error) => inRed(formatError(error, debug)),
    },
  },
};

/** For standard error. */
function inRed(text: string): string {
  return paintMessage(text, paintFor(process.stderr));
}

/**
 * The command as far as the words of a command line need it, with all its subcommands for none. The code of
 * each is loaded when it runs.
 */
export function applicationFor(words: readonly string[]): Application<CliContext> {
  // The version is told by the library, and needs none of them.
  const needed = words[0] === '--version' || words[0] === '-v' ? toolRoutes : routes;
  return buildApplication(defineGroup({ routes: needed, docs })(words), settings, integrations);
}

const argumentErrors: Parameters<typeof formatMessageForArgumentScannerError>[1] = {
  FlagNotFoundError: (error) => {
    const near = error.corrections.map((name) => `"--${kebab(name)}"`);
    return usageError(`There is no flag "--${error.input}" here`, near).slice('holdfast: '.length);
  },
  AliasNotFoundError: (error) => `There is no flag "-${error.input}" here\nHint: --help lists the flags.`,
  UnsatisfiedFlagError: (error) => `Flag "--${kebab(error.externalFlagName)}" needs a value`,
  UnsatisfiedPositionalError: (error) =>
    `Argument ${error.placeholder} is missing\nHint: --help shows how it is used.`,
  UnexpectedPositionalError: (error) =>
    `There is one argument too many: "${error.input}"\nHint: --help shows how it is used.`,
  UnexpectedFlagError: (error) => `Flag "--${kebab(error.externalFlagName)}" may be given once only`,
};

function usageError(message: string, near: readonly string[]): string {
  const hint = near.length > 0 ? `Did you mean ${near.join(' or ')}?` : 'See "holdfast --help".';
  return `holdfast: ${message}\nHint: ${hint}`;
}
