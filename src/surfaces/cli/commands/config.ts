import { printableField, quote } from '../../../model/quote.ts';
import { settingSources } from '../config.ts';
import type { Session } from '../session.ts';
import { formatTable } from '../table.ts';

interface Setting {
  readonly name: string;
  readonly value: unknown;
  readonly from: string;
}

export async function runConfigShow(session: Session, flags: object): Promise<void> {
  const configuration = await session.app.policies.configuration();
  const given = settingSources({ ...session.context.leadingFlags, ...flags }, session.context.env);
  const settings: Setting[] = [
    ...given.map(({ name, value, from }): Setting => {
      const inFile = configuration.values.find((one) => one.name === name);
      // The command line and the environment override the file, and the file overrides the default.
      return from === 'default' && inFile !== undefined ? inFile : { name, value, from };
    }),
    ...configuration.values.filter(({ name }) => !given.some((one) => one.name === name)),
  ];
  session.printer.print({
    json: () => ({ file: configuration.file, settings }),
    text: () =>
      formatTable(settings, [
        { title: 'SETTING', value: ({ name }) => printableField(name) },
        { title: 'VALUE', value: ({ value }) => printableField(shown(value)) },
        { title: 'FROM', value: ({ from }) => printableField(from) },
      ]),
    quiet: () => settings.map(({ name, value }) => `${name}=${shown(value)}`),
  });
}

function shown(value: unknown): string {
  if (value === undefined) return '';
  return typeof value === 'string' ? value : JSON.stringify(value);
}

export async function runConfigCheck(session: Session): Promise<void> {
  const { file, policies, repositories, notify } = await session.app.policies.configuration();
  const known = [...repositories.keys(), ...(await session.app.repositories.list()).map(({ name }) => name)];
  for (const { name, repositories: wanted } of policies)
    for (const repository of wanted)
      if (/^[\w-]+$/.test(repository) && !known.includes(repository))
        session.warn(
          `Warning: the policy ${quote(name)} names the repository ${quote(repository)}, which is not known. Add it with "holdfast repo add", or describe it below "repositories".`,
        );
  session.printer.print({
    json: () => ({
      file,
      policies: policies.map(({ name }) => name),
      repositories: [...repositories.keys()],
      channels: notify.map(({ name }) => name),
    }),
    text: () => {
      if (file === undefined) return 'There is no configuration file: the defaults count.';
      const counts = [
        count(policies.length, 'policy', 'policies'),
        count(repositories.size, 'repository', 'repositories'),
        count(notify.length, 'channel', 'channels'),
      ];
      return `${file} is good: ${counts.join(', ')}.`;
    },
    quiet: () => (file === undefined ? [] : [file]),
  });
}

function count(number: number, one: string, many: string): string {
  return `${number} ${number === 1 ? one : many}`;
}
