import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { PrivateEngine } from '../docker/private-engine.ts';
import { makeStack, type Stack } from './stack.ts';

/**
 * The stack of a chapter on Docker's volumes, as people copy it from there: named volumes, and others whose
 * data lies in folders of the machine that do not exist yet. Only the folders' location is changed.
 */
const composeFile = (data: string): string => `version: '3.8'

services:
  # Base de données avec volume persistant
  postgres:
    image: postgres:15
    environment:
      POSTGRES_DB: app_db
      POSTGRES_USER: app_user
      POSTGRES_PASSWORD: secure_password
    volumes:
      - postgres_data:/var/lib/postgresql/data
      - ./init-scripts:/docker-entrypoint-initdb.d:ro
    restart: unless-stopped

  # Application web avec volumes multiples
  webapp:
    image: mon-webapp:latest
    volumes:
      # Volume pour uploads utilisateurs
      - user_uploads:/app/uploads
      # Bind mount pour configuration
      - ./config/app.yml:/app/config/app.yml:ro
      # tmpfs pour cache temporaire
      - type: tmpfs
        target: /app/cache
        tmpfs:
          size: 1G
          mode: 1777
    depends_on:
      - postgres
      - redis

  # Cache Redis avec volume pour persistance
  redis:
    image: redis:7-alpine
    volumes:
      - redis_data:/data
      - ./config/redis.conf:/usr/local/etc/redis/redis.conf:ro
    command: redis-server /usr/local/etc/redis/redis.conf

  # Serveur web avec logs centralisés
  nginx:
    image: nginx:alpine
    ports:
      - "80:80"
      - "443:443"
    volumes:
      # Configuration Nginx
      - ./nginx/nginx.conf:/etc/nginx/nginx.conf:ro
      - ./nginx/conf.d:/etc/nginx/conf.d:ro
      # Certificats SSL
      - ./ssl:/etc/ssl/certs:ro
      # Logs centralisés
      - nginx_logs:/var/log/nginx
      # Assets statiques
      - user_uploads:/usr/share/nginx/html/uploads:ro

volumes:
  postgres_data:
    driver: local
    driver_opts:
      type: none
      o: bind
      device: ${data}/postgres

  redis_data:
    driver: local

  user_uploads:
    driver: local
    driver_opts:
      type: none
      o: bind
      device: ${data}/uploads

  nginx_logs:
    driver: local
`;

const nginxConf = `events {}
http {
  access_log /var/log/nginx/access.log;
  error_log /var/log/nginx/error.log;
  include /etc/nginx/conf.d/*.conf;
}
`;

const siteConf = `server {
  listen 80;
  location /uploads/ { root /usr/share/nginx/html; }
  # Asked for with each request: nothing says that the application is there first.
  resolver 127.0.0.11;
  location / { set $app webapp; proxy_pass http://$app:8080; }
}
`;

export interface SeedStack extends Stack {
  /** Where the two missing folders have to be. */
  readonly data: string;
  /** The database's answer, trimmed. */
  sql(text: string): Promise<string>;
  redis(...command: string[]): Promise<string>;
}

/** The stack in a folder of its name; its data is to be in the folder `data` of the engine's folder. */
export async function makeSeedStack(
  engine: PrivateEngine,
  { name = 'site', data: folder = 'srv' }: { readonly name?: string; readonly data?: string } = {},
): Promise<SeedStack> {
  const data = join(engine.folder, folder);
  const stack = await makeStack(engine, {
    name,
    files: {
      'docker-compose.yml': composeFile(data),
      'init-scripts/01-schema.sql': 'CREATE TABLE ledger (id bigint PRIMARY KEY, note text);\n',
      'config/app.yml':
        'database_url: postgresql://app_user:secure_password@postgres/app_db\nredis_host: redis\n',
      'config/redis.conf': 'appendonly yes\nappendfsync everysec\ndir /data\n',
      'nginx/nginx.conf': nginxConf,
      'nginx/conf.d/site.conf': siteConf,
      'ssl/README': 'certificates go here\n',
    },
  });
  return {
    ...stack,
    data,
    sql: (text) => stack.exec('postgres', 'psql', '-U', 'app_user', 'app_db', '-qAtc', text),
    redis: (...command) => stack.exec('redis', 'redis-cli', ...command),
  };
}

/** What the user does by hand when Compose reports the missing folders. */
export async function makeDataFolders(stack: SeedStack): Promise<void> {
  await mkdir(join(stack.data, 'postgres'), { recursive: true });
  await mkdir(join(stack.data, 'uploads'), { recursive: true });
  await writeFile(join(stack.data, 'uploads/logo.svg'), '<svg/>\n');
}
