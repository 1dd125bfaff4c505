import { buildRouteMap, type Command, type RouteMap } from '@stricli/core';
import { withWrappedRows } from './command-help.ts';
import type { CliContext } from './context.ts';

/**
 * A command, or a group of them. It is built for the words of a command line that follow its own name: there
 * are a hundred commands, and each takes as long to build as a small one to run.
 */
export type Route = (words: readonly string[]) => Command<CliContext> | RouteMap<CliContext>;

export interface GroupSpec {
  readonly routes: Readonly<Record<string, Route>>;
  readonly aliases?: Readonly<Record<string, string>>;
  readonly docs: Parameters<typeof buildRouteMap<string, CliContext>>[0]['docs'];
}

/** A group that holds the one route that the first word names, or all of them: for help and suggestions. */
export function defineGroup({
  routes,
  aliases,
  docs,
}: GroupSpec): (words: readonly string[]) => RouteMap<CliContext> {
  return ([first = '', ...rest]) => {
    const named = Object.hasOwn(routes, first) ? routes[first] : undefined;
    // Where the first word names none, the others say nothing of what is below: help lists all of it.
    const built =
      named === undefined
        ? Object.fromEntries(Object.entries(routes).map(([name, route]) => [name, route([])]))
        : { [first]: named(rest) };
    return withWrappedRows(
      buildRouteMap<string, CliContext>({ routes: built, docs, ...(aliases && { aliases }) }),
    );
  };
}
