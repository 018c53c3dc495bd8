import { generateKeyPairSync } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { management } from './layout.ts';
import { runCommand } from './run-command.ts';

/** Files of one key pair with its certificate. */
export interface Certificate {
  readonly certificateFile: string;
  readonly keyFile: string;
}

/** The authority of one stack, valid for ten years and trusted by nobody else. */
export interface Authority extends Certificate {
  issue(
    name: string,
    subject: string,
    usage: 'serverAuth' | 'clientAuth',
    alternativeNames?: readonly string[],
  ): Promise<Certificate>;
}

const validDays = '3650';

/** Makes the authority of a stack in `directory`. */
export async function createAuthority(directory: string): Promise<Authority> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const root = await keyPair(directory, 'ca');
  await openssl('req', ['-x509', '-new'], {
    key: root.keyFile,
    subj: '/CN=orbweaver-dev',
    days: validDays,
    addext: ['basicConstraints=critical,CA:TRUE', 'keyUsage=critical,keyCertSign,cRLSign'],
    out: root.certificateFile,
  });
  return {
    ...root,
    async issue(name, subject, usage, alternativeNames = []) {
      const issued = await keyPair(directory, name);
      const wanted = ['basicConstraints=CA:FALSE', 'keyUsage=critical,digitalSignature', `extendedKeyUsage=${usage}`];
      if (alternativeNames.length > 0) wanted.push(`subjectAltName=${alternativeNames.join(',')}`);
      const extensionsFile = join(directory, `${name}.ext`);
      await writeFile(extensionsFile, wanted.join('\n'));
      const request = await openssl('req', ['-new'], { key: issued.keyFile, subj: subject });
      await openssl(
        'x509',
        ['-req'],
        {
          CA: root.certificateFile,
          CAkey: root.keyFile,
          days: validDays,
          extfile: extensionsFile,
          out: issued.certificateFile,
        },
        request,
      );
      return issued;
    },
  };
}

/** Makes the key that signs service account tokens, and the file by which they are checked. */
export async function createSigningKey(
  directory: string,
): Promise<{ readonly privateFile: string; readonly publicFile: string }> {
  const files = {
    privateFile: join(directory, 'service-accounts.key'),
    publicFile: join(directory, 'service-accounts.pub'),
  };
  const { privateKey, publicKey } = newKey();
  await writeFile(files.privateFile, privateKey, { mode: 0o600 });
  await writeFile(files.publicFile, publicKey);
  return files;
}

/** How a client of the API server proves who it is. */
export type Credential = { readonly certificate: Certificate } | { readonly token: string };

/** Text of a kubeconfig with everything inside it, so that it can be used from any namespace and copied. */
export async function kubeconfigText(server: string, authority: Certificate, credential: Credential): Promise<string> {
  const base64 = async (file: string): Promise<string> => (await readFile(file)).toString('base64');
  const user =
    'token' in credential
      ? { token: credential.token }
      : {
          'client-certificate-data': await base64(credential.certificate.certificateFile),
          'client-key-data': await base64(credential.certificate.keyFile),
        };
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [
      { name: 'dev', cluster: { server, 'certificate-authority-data': await base64(authority.certificateFile) } },
    ],
    users: [{ name: 'me', user }],
    contexts: [{ name: 'dev', context: { cluster: 'dev', user: 'me' } }],
    'current-context': 'dev',
  };
  return `${JSON.stringify(config, null, 2)}\n`; // JSON is YAML
}

/** Names under which the API server is called: from its own namespace, the nodes, the relay, and pods. */
export const apiServerNames = [
  'IP:127.0.0.1',
  `IP:${management.control}`,
  'IP:10.96.0.1',
  ...['localhost', 'kubernetes', 'kubernetes.default', 'kubernetes.default.svc'].map((name) => `DNS:${name}`),
];

function openssl(
  command: string,
  switches: readonly string[],
  options: Readonly<Record<string, string | readonly string[]>>,
  input?: string,
): Promise<string> {
  const valued = Object.entries(options).flatMap(([name, values]) =>
    [values].flat().flatMap((value) => [`-${name}`, value]),
  );
  return runCommand(['openssl', command, ...switches, ...valued], input === undefined ? {} : { input });
}

async function keyPair(directory: string, name: string): Promise<Certificate> {
  const keyFile = join(directory, `${name}.key`);
  await writeFile(keyFile, newKey().privateKey, { mode: 0o600 });
  return { keyFile, certificateFile: join(directory, `${name}.crt`) };
}

/** P-256: made in a millisecond, where RSA takes hundreds. */
const newKey = () =>
  generateKeyPairSync('ec', {
    namedCurve: 'P-256',
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'pem' },
  });
