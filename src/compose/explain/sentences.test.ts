import { expect, test } from 'vitest';
import type { ExplainedMount } from './explain-mounts.ts';
import { explainIn, languageOf } from './sentences.ts';

const volume: ExplainedMount = {
  service: 'postgres',
  target: '/var/lib/postgresql/data',
  kind: 'volume',
  name: 'site_pg',
  place: 'engine',
  where: '/var/lib/docker/volumes',
  writers: ['postgres'],
  survivesDown: true,
  survivesDownVolumes: false,
  isMissing: false,
  protection: { state: 'protected', policies: ['nightly'] },
  position: { file: '/compose.yaml', line: 1, column: 1 },
};

const path = { place: 'path', survivesDownVolumes: true, protection: undefined } as const;

test.each<[Partial<ExplainedMount>, string, string]>([
  [
    {},
    '"/var/lib/postgresql/data" in "postgres" is the volume "site_pg", which lies below "/var/lib/docker/volumes"; "postgres" may write to it; it survives "down", and "down -v" deletes it; the policy "nightly" covers it.',
    '« /var/lib/postgresql/data » dans « postgres » est le volume « site_pg », conservé sous « /var/lib/docker/volumes » ; « postgres » peut y écrire ; les données survivent à « down », mais « down -v » les supprime ; la politique « nightly » les couvre.',
  ],
  [
    { ...path, kind: 'folder', name: '/srv/x', where: '/srv/x', writers: [], isMissing: true },
    '"/var/lib/postgresql/data" in "postgres" is the folder "/srv/x" of this machine (not there yet); no service may write to it; it survives "down" and "down -v".',
    '« /var/lib/postgresql/data » dans « postgres » est le dossier « /srv/x » de cette machine (pas encore créé) ; aucun service ne peut y écrire ; les données survivent à « down » et à « down -v ».',
  ],
  [
    { ...path, kind: 'file', name: '/var/run/docker.sock', where: '/var/run/docker.sock', writers: [] },
    '"/var/lib/postgresql/data" in "postgres" is the socket "/var/run/docker.sock" of this machine; what listens on it answers, read-only or not; it holds no data.',
    '« /var/lib/postgresql/data » dans « postgres » est le socket « /var/run/docker.sock » de cette machine ; ce qui y écoute répond, même en lecture seule ; il ne contient pas de données.',
  ],
  [
    {
      ...path,
      where: '/data/pg',
      writers: ['postgres', 'web'],
      protection: { state: 'unprotected', policies: [] },
    },
    '"/var/lib/postgresql/data" in "postgres" is the volume "site_pg", which lies in "/data/pg"; "postgres" and "web" may write to it; it survives "down" and "down -v"; no policy covers it.',
    '« /var/lib/postgresql/data » dans « postgres » est le volume « site_pg », dont les données sont dans « /data/pg » ; « postgres » et « web » peuvent y écrire ; les données survivent à « down » et à « down -v » ; aucune politique ne les couvre.',
  ],
  [
    { protection: { state: 'wanted', policies: ['nightly', 'weekly'] } },
    '"/var/lib/postgresql/data" in "postgres" is the volume "site_pg", which lies below "/var/lib/docker/volumes"; "postgres" may write to it; it survives "down", and "down -v" deletes it; the policies "nightly" and "weekly" will cover it, by "x-holdfast".',
    '« /var/lib/postgresql/data » dans « postgres » est le volume « site_pg », conservé sous « /var/lib/docker/volumes » ; « postgres » peut y écrire ; les données survivent à « down », mais « down -v » les supprime ; les politiques « nightly » et « weekly » les couvriront, selon « x-holdfast ».',
  ],
  [
    {
      kind: 'memory',
      name: undefined,
      place: 'memory',
      where: undefined,
      survivesDown: false,
      protection: undefined,
    },
    '"/var/lib/postgresql/data" in "postgres" is memory; "postgres" may write to it; it is gone when the container stops.',
    '« /var/lib/postgresql/data » dans « postgres » est de la mémoire vive ; « postgres » peut y écrire ; tout disparaît à l’arrêt du conteneur.',
  ],
  [
    { kind: 'anonymous', name: undefined, where: undefined, survivesDown: false, protection: undefined },
    '"/var/lib/postgresql/data" in "postgres" is an anonymous volume, which lies in the engine\'s own folder; "postgres" may write to it; after "down" the next container does not find it again, and "down -v" deletes it.',
    '« /var/lib/postgresql/data » dans « postgres » est un volume anonyme, conservé dans le dossier du moteur ; « postgres » peut y écrire ; après « down », le conteneur suivant ne le retrouve pas, et « down -v » le supprime.',
  ],
])('%j is one sentence in each language', (change, english, french) => {
  expect(explainIn('en', { ...volume, ...change })).toBe(english);
  expect(explainIn('fr', { ...volume, ...change })).toBe(french.replaceAll(/(?<=«) | (?=[»;])/g, '\u00a0'));
});

test('names from outside cannot write to the terminal', () => {
  const hostile = { ...volume, name: 'a\u001b[2J', target: '/x\n\u202e', service: 's\0' };
  for (const language of ['en', 'fr'] as const)
    expect(explainIn(language, hostile)).not.toMatch(/[\p{Cc}\p{Cf}]/u);
});

test.each([
  [{}, 'en'],
  [{ LANG: 'fr_FR.UTF-8' }, 'fr'],
  [{ LANG: 'fr_FR.UTF-8', LC_ALL: 'C' }, 'en'],
  [{ LANG: 'en_GB', LC_MESSAGES: 'fr' }, 'fr'],
  [{ LANG: 'fr_CA', LC_ALL: '', LC_MESSAGES: '' }, 'fr'],
  [{ LANG: 'fro' }, 'en'],
])('%j is the language %s', (env, language) => {
  expect(languageOf(env)).toBe(language);
});
