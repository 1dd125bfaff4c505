import { expect, test } from 'vitest';
import { asJsonText, checkTemplate, fillTemplate, type TemplateFields, templateNames } from './template.ts';

const fields = Object.fromEntries(templateNames.map((name) => [name, `<${name}>`])) as TemplateFields;

test('names in braces are replaced, and all other braces stay', () => {
  expect(fillTemplate('{volume} { volume } {"a": {}} {Volume} {{title}}', fields)).toBe(
    '<volume> { volume } {"a": {}} {Volume} {<title>}',
  );
});

test('a replaced value is not expanded again', () => {
  expect(fillTemplate('{message}', { ...fields, message: '{title}$&' })).toBe('{title}$&');
});

test('values can be put into JSON, whatever they hold', () => {
  const filled = fillTemplate('{"text": "{message}"}', { ...fields, message: 'a"b\\c\n{}' }, asJsonText);
  expect(JSON.parse(filled)).toEqual({ text: 'a"b\\c\n{}' });
});

test('an unknown name is refused', () => {
  expect(() => checkTemplate('{volumes}')).toThrow('There is nothing to put in the place of "{volumes}"');
  expect(checkTemplate('{"x": {}}')).toBe('{"x": {}}');
});
