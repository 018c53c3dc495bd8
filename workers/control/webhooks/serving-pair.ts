import 'reflect-metadata'; // the library below looks for it when it is loaded
import { webcrypto, X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  PemConverter,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509CertificateGenerator,
} from '@peculiar/x509';

/** A serving certificate, its key, and the certificate of the authority that signed it; all PEM. */
export interface ServingPair {
  readonly certificate: string;
  readonly key: string;
  readonly authority: string;
}

export interface PairOptions {
  /** Names and addresses by which the server is called. */
  readonly hosts: readonly string[];
  /** Unix time. */
  readonly nowMs: number;
  readonly lifetimeMs: number;
}

/** Clocks differ: a certificate is valid an hour before it is made. */
const earlierMs = 3_600_000;
const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;

/**
 * Makes a certificate with an authority of its own. The authority's key is not kept: what it signed is all that it will ever
 * sign, so who reads the Secret can be this server until the next rotation, and nobody else.
 */
export async function makeServingPair({ hosts, nowMs, lifetimeMs }: PairOptions): Promise<ServingPair> {
  const [authorityKeys, keys] = await Promise.all([newKeys(), newKeys()]);
  const validity = { notBefore: new Date(nowMs - earlierMs), notAfter: new Date(nowMs + lifetimeMs) };
  const authority = await X509CertificateGenerator.createSelfSigned({
    name: `CN=orbweaver-webhook-ca-${nowMs}`,
    keys: authorityKeys,
    signingAlgorithm: algorithm,
    ...validity,
    extensions: [
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign, true),
      await SubjectKeyIdentifierExtension.create(authorityKeys.publicKey),
    ],
  });
  const certificate = await X509CertificateGenerator.create({
    subject: 'CN=orbweaver-webhook',
    issuer: authority.subject,
    publicKey: keys.publicKey,
    signingKey: authorityKeys.privateKey,
    signingAlgorithm: algorithm,
    ...validity,
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth]),
      new SubjectAlternativeNameExtension(hosts.map((value) => ({ type: isIP(value) === 0 ? 'dns' : 'ip', value }))),
      await AuthorityKeyIdentifierExtension.create(authorityKeys.publicKey),
    ],
  });
  const key = await webcrypto.subtle.exportKey('pkcs8', keys.privateKey);
  return {
    certificate: `${certificate.toString('pem')}\n`,
    key: `${PemConverter.encode(key, PemConverter.PrivateKeyTag)}\n`,
    authority: `${authority.toString('pem')}\n`,
  };
}

/** Until when a certificate can serve these hosts, Unix time; 0 when it cannot, or is none. */
export function servesUntilMs(certificate: string, hosts: readonly string[]): number {
  try {
    const read = new X509Certificate(certificate);
    const covers = (host: string) => (isIP(host) === 0 ? read.checkHost(host) : read.checkIP(host)) !== undefined;
    return hosts.every(covers) ? read.validToDate.getTime() : 0;
  } catch {
    return 0;
  }
}

const newKeys = (): Promise<webcrypto.CryptoKeyPair> =>
  webcrypto.subtle.generateKey({ name: algorithm.name, namedCurve: algorithm.namedCurve }, true, ['sign', 'verify']);
