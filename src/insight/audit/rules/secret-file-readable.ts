import { quote } from '../../../model/quote.ts';
import type { Rule } from '../rule.ts';

export const secretFileReadable: Rule = {
  id: 'HF-S013',
  name: 'secret-file-readable',
  severity: 'leak',
  title: 'Every user of the machine can read a file with secrets',
  meaning:
    'A secret of Compose keeps the mode of its file: what every user can read on the machine is no secret.',
  *check({ projects }) {
    for (const audited of projects) {
      const { project, secretFiles } = audited;
      for (const [file, mode] of secretFiles) {
        if ((mode & 0o004) === 0) continue;
        const key = [...project.secrets].find(([, secret]) => secret.file === file)?.[0];
        const path = key === undefined ? [] : ['secrets', key];
        const shown = file.startsWith(`${project.directory}/`)
          ? file.slice(project.directory.length + 1)
          : file;
        yield {
          subject: { kind: 'path', name: shown },
          key: `${project.name} ${shown}`,
          message: `Every user of the machine can read ${quote(shown)}, which holds secrets`,
          evidence: [`Its mode is 0${(mode & 0o7777).toString(8)}.`],
          remedy: 'Take the right to read from others',
          commands: [['chmod', 'o-rwx', file]],
          place: { project: audited, path, position: project.positionOf(path) },
        };
      }
    }
  },
};
