import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { auditedWorld } from '../../../test/fixtures/audited-world.ts';

const file = join(import.meta.dirname, '../../../test/fixtures/public-stacks.yaml');

/** `RULE SUBJECT` of each stack that has any, without asking for the rules that are silent. */
async function alarms(): Promise<Record<string, string[]>> {
  const found: Record<string, string[]> = {};
  const stacks = (await readFile(file, 'utf8')).split(/^---$/m);
  expect(stacks).toHaveLength(65);
  for (const stack of stacks) {
    await using world = await auditedWorld({ hasEngine: false, files: { 'compose.yaml': stack } });
    const { findings } = await world.run();
    const name = /^name: (.*)$/m.exec(stack)?.[1] ?? '';
    const told = findings.map(({ id, subject, position }) => {
      expect(position?.file).toBe(join(world.folder, 'compose.yaml'));
      return `${id} ${subject.name}`;
    });
    if (told.length > 0) found[name] = told;
  }
  return found;
}

/** The stacks that an alarm of each rule names; a rule that is missing has none. */
function byRule(found: Record<string, string[]>): Record<string, string[]> {
  const rules: Record<string, string[]> = {};
  for (const [stack, told] of Object.entries(found))
    for (const alarm of told) {
      const [rule = '', subject = ''] = alarm.split(' ');
      rules[rule] = [...(rules[rule] ?? []), `${stack}/${subject}`];
    }
  return rules;
}

test('of sixty-five public stacks, each alarm is known and is meant', async () => {
  expect(byRule(await alarms())).toEqual({
    'HF-S001': [
      'nextcloud-aio/nextcloud-aio-mastercontainer',
      'authentik/worker',
      'traefik/traefik',
      'portainer/portainer',
      'monitoring/cadvisor',
      'monitoring/cadvisor',
      'monitoring/node-exporter',
      'woodpecker/woodpecker-agent',
      'supabase/vector',
      'mailcow/dockerapi-mailcow',
      'zabbix/zabbix-agent',
      'zabbix/zabbix-agent',
      'appwrite/openruntimes-executor',
      'appwrite/traefik',
      'watchtower/duplicati',
      'watchtower/watchtower',
    ],
    'HF-S002': ['zabbix/zabbix-agent', 'watchtower/duplicati'],
    'HF-S006': [
      'gitea/db',
      'gitea/server',
      'paperless/db',
      'wordpress/db',
      'wordpress/wordpress',
      'ghost/db',
      'ghost/ghost',
      'keycloak/keycloak',
      'keycloak/keycloak',
      'keycloak/postgres',
      'pihole/pihole',
      'synapse/db',
      'wikijs/db',
      'wikijs/wiki',
      'outline/postgres',
      'hedgedoc/app',
      'hedgedoc/database',
      'minio/minio',
      'sonarqube/db',
      'sonarqube/sonarqube',
      'umami/db',
      'umami/umami',
      'umami/umami',
      'plausible/plausible_db',
      'photoprism/mariadb',
      'photoprism/mariadb',
      'photoprism/photoprism',
      'photoprism/photoprism',
      'seafile/db',
      'seafile/seafile',
      'seafile/seafile',
      'mongo-express/mongo',
      'mongo-express/mongo-express',
      'mongo-express/mongo-express',
      'forgejo/db',
      'forgejo/db',
      'forgejo/server',
      'miniflux/db',
      'miniflux/miniflux',
      'miniflux/miniflux',
      'langfuse/langfuse-web',
      'watchtower/duplicati',
      'sentry/seaweedfs',
      'mealie/mealie',
      'mealie/postgres',
    ],
    'HF-S008': [
      'supabase/vector',
      'photoprism/mariadb',
      'photoprism/photoprism',
      'mailcow/dockerapi-mailcow',
    ],
    'HF-S009': [
      'monitoring/cadvisor',
      'home-assistant/homeassistant',
      'mailcow/netfilter-mailcow',
      'frigate/frigate',
      'zabbix/zabbix-agent',
    ],
    // A volume where PostgreSQL kept its data before 18.
    'HF-V001': ['immich-old/database18'],
    'HF-V003': ['mongo-express/mongo'],
  });
});
