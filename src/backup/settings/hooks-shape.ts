import { isScalar } from 'yaml';
import {
  defaultHookTimeoutMs,
  type Hook,
  type HookMoment,
  hookMoments,
  usualOnFailure,
} from '../../model/hook.ts';
import { parseCommand } from '../../model/label-reading.ts';
import { parseDuration } from '../../model/duration.ts';
import {
  anyText,
  converted,
  either,
  fields,
  listOf,
  oneOf,
  type Read,
  type Shape,
  text,
} from '../../lib/shape.ts';

const command: Shape<readonly string[]> = either(text(parseCommand), listOf(anyText), (node) =>
  isScalar(node),
);

const hookFields = {
  in: text((name) => name, { description: 'A container, or a service of the stack' }),
  command,
  user: anyText,
  timeout: text(parseDuration, { description: 'Such as 90s, 10m' }),
  'on-failure': oneOf(['abort', 'warn']),
} as const;

const hook = fields(hookFields, { required: ['in', 'command'] });

const moments = fields({
  before: listOf(hook),
  during: listOf(hook),
  after: listOf(hook),
  'on-error': listOf(hook),
});

/** Commands that run in containers around a backup, by phase. */
export const hooks: Shape<readonly Hook[]> = converted(moments, (given) =>
  hookMoments.flatMap((moment) => (given[moment] ?? []).map((one) => hookOf(moment, one))),
);

function hookOf(moment: HookMoment, given: Read<typeof hookFields>): Hook {
  return {
    moment,
    target: given.in,
    command: given.command ?? [],
    user: given.user,
    timeoutMs: given.timeout ?? defaultHookTimeoutMs,
    onFailure: given['on-failure'] ?? usualOnFailure(moment),
    runsAnywhere: true,
    origin: `the hook "${moment}" of the policy`,
  };
}
