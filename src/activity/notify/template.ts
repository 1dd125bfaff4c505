import { AppError } from '../../model/errors.ts';
import { quote } from '../../model/quote.ts';

/** The names that a template can hold, in braces. */
export const templateNames = [
  'event',
  'title',
  'message',
  'volume',
  'stack',
  'policy',
  'snapshot',
  'repository',
  'host',
  'time',
  'count',
  'since',
  'hint',
  'detail',
  'duration',
] as const;

export type TemplateName = (typeof templateNames)[number];

export type TemplateFields = Readonly<Record<TemplateName, string>>;

const known: readonly string[] = templateNames;

/** Replaces `{name}` by its value. All other braces stay as they are, so that JSON can be a template. */
export function fillTemplate(
  template: string,
  fields: TemplateFields,
  escape: (value: string) => string = (value) => value,
): string {
  return template.replace(/\{([a-z]+)\}/g, (whole, name: string) =>
    isName(name) ? escape(fields[name]) : whole,
  );
}

/** Throws `usage` for an unknown `{name}`. */
export function checkTemplate(template: string): string {
  for (const [, name = ''] of template.matchAll(/\{([a-z]+)\}/g)) {
    if (isName(name)) continue;
    throw new AppError('usage', `There is nothing to put in the place of ${quote(`{${name}}`)}`, {
      detail: `There is ${templateNames.map((one) => `{${one}}`).join(', ')}.`,
    });
  }
  return template;
}

/** A value for the inside of a JSON string. */
export function asJsonText(value: string): string {
  return JSON.stringify(value).slice(1, -1);
}

function isName(name: string): name is TemplateName {
  return known.includes(name);
}
