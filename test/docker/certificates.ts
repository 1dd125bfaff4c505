import { execFile } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

export interface Certificates {
  /** Holds ca.pem, server-cert.pem and server-key.pem. */
  readonly server: string;
  /** As DOCKER_CERT_PATH wants it: ca.pem, cert.pem and key.pem. */
  readonly client: string;
}

/** An authority of its own, and certificates by it for an engine on the loopback and for a client. */
export async function makeCertificates(folder: string): Promise<Certificates> {
  const [server, client] = [join(folder, 'server'), join(folder, 'client')];
  await mkdir(server, { recursive: true });
  await mkdir(client);
  const [ca, caKey] = [join(server, 'ca.pem'), join(server, 'ca-key.pem')];
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  await run('openssl', [
    'req',
    '-x509',
    ...newKey,
    '-keyout',
    caKey,
    '-out',
    ca,
    '-days',
    '2',
    '-subj',
    '/CN=test authority',
  ]);
  const sign = async (place: string, name: string, extensions: string): Promise<void> => {
    const [key, request, settings] = [`${place}key.pem`, `${place}request.pem`, `${place}settings`];
    await writeFile(settings, extensions);
    await run('openssl', ['req', ...newKey, '-keyout', key, '-out', request, '-subj', `/CN=${name}`]);
    const authority = ['-CA', ca, '-CAkey', caKey, '-CAcreateserial'];
    await run('openssl', [
      'x509',
      '-req',
      '-in',
      request,
      ...authority,
      '-out',
      `${place}cert.pem`,
      '-days',
      '2',
      '-extfile',
      settings,
    ]);
  };
  await sign(
    join(server, 'server-'),
    'localhost',
    'subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth\n',
  );
  await sign(`${client}/`, 'client', 'extendedKeyUsage=clientAuth\n');
  await run('cp', [ca, join(client, 'ca.pem')]);
  return { server, client };
}
