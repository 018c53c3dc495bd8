import { isDeepStrictEqual } from 'node:util';
import type { ObjectMeta } from '../../../contracts/crds/object-meta.ts';
import { hasStatus } from '../../../kube/api-error.ts';
import type { LeaderRequest } from '../../../kube/leader-writes.ts';
import type { WebhookClient } from './webhook-config.ts';

/** Name of both configurations. */
export const configurationName = 'orbweaver';

const group = 'spiderpool.spidernet.io';
const version = 'v2beta1';

/** A kind that admission looks at, by its name in lower case. */
export type AdmittedKind = 'spiderippool' | 'spidersubnet' | 'spiderreservedip' | 'spidercoordinator';
export type AdmissionPhase = 'mutate' | 'validate';
export type Operation = 'CREATE' | 'UPDATE' | 'DELETE';

/** What is asked about; a deletion of what holds no addresses is nobody's business. */
const operations: Readonly<Record<AdmittedKind, readonly Operation[]>> = {
  spiderippool: ['CREATE', 'UPDATE', 'DELETE'],
  spidersubnet: ['CREATE', 'UPDATE', 'DELETE'],
  spiderreservedip: ['CREATE', 'UPDATE'],
  spidercoordinator: ['CREATE', 'UPDATE'],
};
export const admittedKinds = Object.keys(operations) as readonly AdmittedKind[];

/** Spiderpool's paths. */
export const webhookPath = (phase: AdmissionPhase, kind: AdmittedKind): string =>
  `/${phase}-${group.replaceAll('.', '-')}-${version}-${kind}`;

const phases = {
  mutate: { plural: 'mutatingwebhookconfigurations', kind: 'MutatingWebhookConfiguration', timeoutSeconds: 10 },
  // Room for an edit that waits until no node remembers the pool from before, and for 100 requests at once.
  validate: { plural: 'validatingwebhookconfigurations', kind: 'ValidatingWebhookConfiguration', timeoutSeconds: 20 },
} as const satisfies Record<AdmissionPhase, object>;

export interface WebhookCallers {
  /** Where the API server asks. */
  readonly client: WebhookClient;
  /** Whom it trusts there, in PEM. */
  readonly authorities: string;
  /** Our own user name. */
  readonly controlWorker: string;
}

/** The webhooks of one configuration, with every field that the API server would fill in, so that they can be compared. */
export function webhooksOf(
  phase: AdmissionPhase,
  { client, authorities, controlWorker }: WebhookCallers,
): readonly object[] {
  const caBundle = Buffer.from(authorities).toString('base64');
  return admittedKinds.map((kind) => {
    const path = webhookPath(phase, kind);
    return {
      name: `${phase}.${kind}.${group}`,
      admissionReviewVersions: ['v1'],
      clientConfig:
        'url' in client
          ? { url: `${client.url}${path}`, caBundle }
          : { service: { ...client.service, path }, caBundle },
      rules: [
        {
          apiGroups: [group],
          apiVersions: [version],
          resources: [`${kind}s`], // a status is published, and passes
          operations: operations[kind].filter((operation) => phase === 'validate' || operation !== 'DELETE'),
          scope: 'Cluster',
        },
      ],
      failurePolicy: 'Fail',
      matchPolicy: 'Equivalent',
      namespaceSelector: {},
      objectSelector: {},
      sideEffects: phase === 'mutate' ? 'None' : 'NoneOnDryRun',
      timeoutSeconds: phases[phase].timeoutSeconds,
      ...(phase === 'mutate' && {
        reinvocationPolicy: 'Never',
        // What we create is complete (ipam/auto-pools/pool-object.ts): one call less for each automatic pool.
        matchConditions: [{ name: 'not-our-own', expression: isNotOurCreation(controlWorker) }],
      }),
    };
  });
}

/** CEL, whose text literals are written as JSON's. */
const isNotOurCreation = (controlWorker: string): string =>
  `request.operation != 'CREATE' || request.userInfo.username != ${JSON.stringify(controlWorker)}`;

interface Configuration {
  readonly metadata: ObjectMeta;
  readonly webhooks?: readonly object[];
}

/** Makes both configurations say this; writes nothing when they do. */
export async function keepConfigurations(request: LeaderRequest, callers: WebhookCallers): Promise<void> {
  for (const phase of ['validate', 'mutate'] as const) {
    const { plural, kind } = phases[phase];
    const collection = `/apis/admissionregistration.k8s.io/v1/${plural}`;
    const path = `${collection}/${configurationName}`;
    const found = await request<Configuration>({ method: 'GET', path }).catch(undefinedWhenAbsent);
    const webhooks = webhooksOf(phase, callers);
    if (isDeepStrictEqual(found?.webhooks, webhooks)) continue;
    await request({
      method: found ? 'PUT' : 'POST',
      path: found ? path : collection,
      body: {
        apiVersion: 'admissionregistration.k8s.io/v1',
        kind,
        metadata: found?.metadata ?? { name: configurationName },
        webhooks,
      },
    });
  }
}

function undefinedWhenAbsent(error: unknown): undefined {
  if (!hasStatus(error, 404)) throw error;
}
