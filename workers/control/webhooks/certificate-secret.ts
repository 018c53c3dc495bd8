import type { ObjectMeta } from '../../../contracts/crds/object-meta.ts';
import type { ApiClient } from '../../../kube/api-client.ts';
import { hasStatus } from '../../../kube/api-error.ts';
import type { KeptCertificates } from './rotation.ts';

/** Name of the Secret in our namespace. */
export const certificateSecret = 'orbweaver-webhook';
/** On the Secret: make a new certificate now. */
export const rotateAnnotation = 'orbweaver.io/rotate';

const requestMs = 3000;

interface Secret {
  readonly metadata: ObjectMeta;
  readonly data?: Readonly<Record<string, string>>;
}

/** What was read, and on what a write is conditional. */
export interface ReadCertificates {
  /** Absent when there is no Secret, or not all that it needs. */
  readonly kept?: KeptCertificates;
  readonly isRotationAsked: boolean;
  readonly resourceVersion?: string;
}

/** Where the certificates are kept: every replica reads it, and a write is refused when another came first. */
export class CertificateSecret {
  readonly #api: ApiClient;
  readonly #collection: string;

  constructor(api: ApiClient, namespace: string) {
    this.#api = api;
    this.#collection = `/api/v1/namespaces/${namespace}/secrets`;
  }

  async read(): Promise<ReadCertificates> {
    const path = `${this.#collection}/${certificateSecret}`;
    try {
      const { metadata, data = {} } = await this.#api.request<Secret>({ method: 'GET', path, timeoutMs: requestMs });
      const kept = decode(data);
      return {
        ...(kept && { kept }),
        isRotationAsked: metadata.annotations?.[rotateAnnotation] !== undefined,
        ...(metadata.resourceVersion !== undefined && { resourceVersion: metadata.resourceVersion }),
      };
    } catch (error) {
      if (hasStatus(error, 404)) return { isRotationAsked: false };
      throw error;
    }
  }

  /** Writes them if the Secret still is as it was read; the wish for a rotation is fulfilled with it. */
  async write(kept: KeptCertificates, { resourceVersion }: ReadCertificates): Promise<'written' | 'overtaken'> {
    const isNew = resourceVersion === undefined;
    const body = {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: certificateSecret, ...(!isNew && { resourceVersion }) },
      type: 'Opaque',
      data: encode(kept),
    };
    try {
      await this.#api.request({
        method: isNew ? 'POST' : 'PUT',
        path: isNew ? this.#collection : `${this.#collection}/${certificateSecret}`,
        query: { fieldManager: 'orbweaver' },
        body,
        timeoutMs: requestMs,
      });
      return 'written';
    } catch (error) {
      if (hasStatus(error, 409) || hasStatus(error, 404)) return 'overtaken';
      throw error;
    }
  }
}

function encode({ current, next, previousAuthority }: KeptCertificates): Readonly<Record<string, string>> {
  const texts = {
    'tls.crt': current.certificate,
    'tls.key': current.key,
    'ca.crt': current.authority,
    ...(next && {
      'next.crt': next.certificate,
      'next.key': next.key,
      'next-ca.crt': next.authority,
    }),
    ...(previousAuthority !== undefined && { 'previous-ca.crt': previousAuthority }),
  };
  return Object.fromEntries(Object.entries(texts).map(([key, text]) => [key, Buffer.from(text).toString('base64')]));
}

function decode(data: Readonly<Record<string, string>>): KeptCertificates | undefined {
  const text = (key: string): string => Buffer.from(data[key] ?? '', 'base64').toString();
  const [certificate, key, authority] = [text('tls.crt'), text('tls.key'), text('ca.crt')];
  if ([certificate, key, authority].includes('')) return undefined;
  const next = { certificate: text('next.crt'), key: text('next.key'), authority: text('next-ca.crt') };
  const previousAuthority = text('previous-ca.crt');
  return {
    current: { certificate, key, authority },
    ...(Object.values(next).every(Boolean) && { next }),
    ...(previousAuthority !== '' && { previousAuthority }),
  };
}
