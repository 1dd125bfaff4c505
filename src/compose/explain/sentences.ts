import { quote } from '../../model/quote.ts';
import type { ExplainedMount } from './explain-mounts.ts';

export const languages = ['en', 'fr'] as const;
export type Language = (typeof languages)[number];

/** The language of messages, as the C library finds it: the first that is set of LC_ALL, LC_MESSAGES and LANG. */
export function languageOf(env: Readonly<Record<string, string | undefined>>): Language {
  const locale = env['LC_ALL'] || env['LC_MESSAGES'] || env['LANG'] || '';
  return /^fr(?:[_.@-]|$)/i.test(locale) ? 'fr' : 'en';
}

/** A mount in one sentence. Pure; safe to print. */
export function explainIn(language: Language, mount: ExplainedMount): string {
  const { what, where, writers, life, protection } = language === 'fr' ? french(mount) : english(mount);
  const link = language === 'fr' ? `${noBreak}; ` : '; ';
  return `${[`${what}${where}`, writers, life, protection].filter((part) => part !== '').join(link)}.`;
}

interface Parts {
  readonly what: string;
  readonly where: string;
  readonly writers: string;
  readonly life: string;
  readonly protection: string;
}

function english(mount: ExplainedMount): Parts {
  const { name = '', where, kind, place } = mount;
  const kinds: Readonly<Record<ExplainedMount['kind'], string>> = {
    volume: `the volume ${quote(name)}`,
    external: `the external volume ${quote(name)}`,
    anonymous: 'an anonymous volume',
    folder: `the folder ${quote(name)} of this machine`,
    file: `the ${isSocket(mount) ? 'socket' : 'file'} ${quote(name)} of this machine`,
    memory: 'memory',
    config: `the config ${quote(name)}`,
    secret: `the secret ${quote(name)}`,
    other: quote(name),
  };
  const places: Readonly<Record<ExplainedMount['place'], string>> = {
    engine:
      where === undefined ? ", which lies in the engine's own folder" : `, which lies below ${quote(where)}`,
    path: kind === 'folder' || kind === 'file' ? '' : `, which lies in ${quote(where ?? '')}`,
    remote: `, which lies on ${quote(where ?? '')}`,
    memory: kind === 'memory' ? '' : ', which lies in memory',
    driver: `, which lies where the driver ${quote(where ?? '')} keeps it`,
  };
  return {
    what: `${quote(mount.target)} in ${quote(mount.service)} is ${kinds[kind]}`,
    where: places[place] + (mount.isMissing ? ' (not there yet)' : ''),
    ...(isSocket(mount)
      ? { writers: 'what listens on it answers, read-only or not', life: 'it holds no data' }
      : { writers: englishWriters(mount.writers), life: englishLife(mount) }),
    protection: englishProtection(mount),
  };
}

/** A read-only mount of a socket keeps no service from talking to what listens on it. */
function isSocket({ kind, name = '' }: ExplainedMount): boolean {
  return kind === 'file' && name.endsWith('.sock');
}

function englishWriters(writers: readonly string[]): string {
  return writers.length === 0
    ? 'no service may write to it'
    : `${listed(writers.map(quote), 'and')} may write to it`;
}

function englishLife({ kind, survivesDown, survivesDownVolumes }: ExplainedMount): string {
  if (kind === 'anonymous')
    return 'after "down" the next container does not find it again, and "down -v" deletes it';
  if (!survivesDown) return 'it is gone when the container stops';
  return survivesDownVolumes
    ? 'it survives "down" and "down -v"'
    : 'it survives "down", and "down -v" deletes it';
}

function englishProtection({ protection }: ExplainedMount): string {
  if (protection === undefined) return '';
  if (protection.state === 'cache') return 'it needs no backup';
  if (protection.state === 'left-out') return '"x-holdfast" leaves it out of backups';
  const { policies } = protection;
  if (policies.length === 0) return protection.state === 'protected' ? 'it is saved' : 'no policy covers it';
  const names = listed(policies.map(quote), 'and');
  if (protection.state === 'wanted')
    return `${policies.length === 1 ? 'the policy' : 'the policies'} ${names} will cover it, by "x-holdfast"`;
  const word = policies.length === 1 ? `the policy ${names} covers it` : `the policies ${names} cover it`;
  return protection.state === 'protected' ? word : `${word}, and there is no good backup yet`;
}

function french(mount: ExplainedMount): Parts {
  const { name = '', where, kind, place } = mount;
  const kinds: Readonly<Record<ExplainedMount['kind'], string>> = {
    volume: `le volume ${cited(name)}`,
    external: `le volume externe ${cited(name)}`,
    anonymous: 'un volume anonyme',
    folder: `le dossier ${cited(name)} de cette machine`,
    file: `le ${isSocket(mount) ? 'socket' : 'fichier'} ${cited(name)} de cette machine`,
    memory: 'de la mémoire vive',
    config: `la configuration ${cited(name)}`,
    secret: `le secret ${cited(name)}`,
    other: cited(name),
  };
  const places: Readonly<Record<ExplainedMount['place'], string>> = {
    engine: where === undefined ? ', conservé dans le dossier du moteur' : `, conservé sous ${cited(where)}`,
    path: kind === 'folder' || kind === 'file' ? '' : `, dont les données sont dans ${cited(where ?? '')}`,
    remote: `, dont les données sont sur ${cited(where ?? '')}`,
    memory: kind === 'memory' ? '' : ', conservé en mémoire vive',
    driver: `, conservé par le pilote ${cited(where ?? '')}`,
  };
  return {
    what: `${cited(mount.target)} dans ${cited(mount.service)} est ${kinds[kind]}`,
    where: places[place] + (mount.isMissing ? ' (pas encore créé)' : ''),
    ...(isSocket(mount)
      ? { writers: 'ce qui y écoute répond, même en lecture seule', life: 'il ne contient pas de données' }
      : { writers: frenchWriters(mount.writers), life: frenchLife(mount) }),
    protection: frenchProtection(mount),
  };
}

function frenchWriters(writers: readonly string[]): string {
  if (writers.length === 0) return 'aucun service ne peut y écrire';
  return `${listed(writers.map(cited), 'et')} ${writers.length === 1 ? 'peut' : 'peuvent'} y écrire`;
}

function frenchLife({ kind, survivesDown, survivesDownVolumes }: ExplainedMount): string {
  if (kind === 'anonymous')
    return `après ${cited('down')}, le conteneur suivant ne le retrouve pas, et ${cited('down -v')} le supprime`;
  if (!survivesDown) return 'tout disparaît à l’arrêt du conteneur';
  return survivesDownVolumes
    ? `les données survivent à ${cited('down')} et à ${cited('down -v')}`
    : `les données survivent à ${cited('down')}, mais ${cited('down -v')} les supprime`;
}

function frenchProtection({ protection }: ExplainedMount): string {
  if (protection === undefined) return '';
  if (protection.state === 'cache') return 'aucune sauvegarde n’est nécessaire';
  if (protection.state === 'left-out') return `${cited('x-holdfast')} les exclut des sauvegardes`;
  const { policies } = protection;
  if (policies.length === 0)
    return protection.state === 'protected'
      ? 'les données sont sauvegardées'
      : 'aucune politique ne les couvre';
  const names = listed(policies.map(cited), 'et');
  if (protection.state === 'wanted')
    return policies.length === 1
      ? `la politique ${names} les couvrira, selon ${cited('x-holdfast')}`
      : `les politiques ${names} les couvriront, selon ${cited('x-holdfast')}`;
  const words =
    policies.length === 1 ? `la politique ${names} les couvre` : `les politiques ${names} les couvrent`;
  return protection.state === 'protected' ? words : `${words}, mais il n’y a pas encore de bonne sauvegarde`;
}

/** French has a blank inside of quotation marks and before a semicolon, where no line may end. */
const noBreak = '\u00a0';

/** A name between French quotation marks; what is not printable is escaped as in English. */
function cited(text: string): string {
  return `«${noBreak}${quote(text).slice(1, -1).replaceAll('\\"', '"')}${noBreak}»`;
}

function listed(names: readonly string[], and: string): string {
  if (names.length < 2) return names.join('');
  return `${names.slice(0, -1).join(', ')} ${and} ${names.at(-1)}`;
}
