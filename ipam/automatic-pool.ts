import type { Application, Labels } from './pool-request.ts';

/** Whom an automatic pool was made for (spec/ipam.md §2.3, §6.3). */
export interface AutomaticPool {
  /** Without UID: what the five `app-*` keys of `spec.podAffinity` name. A key that is missing is "". */
  readonly application: Omit<Application, 'uid'>;
  /** UID of the application that it serves now; "" when the label is missing. */
  readonly applicationUID: string;
  readonly ifName: string;
  /** Name of its SpiderSubnet. */
  readonly subnet: string;
  /** Goes with the application. A pool that stays is taken over by the next application of the same name and kind. */
  readonly isReclaimed: boolean;
}

const prefix = 'ipam.spidernet.io/';

/** Labels of an automatic pool; `applicationName` is the one by which it is known. */
export const automaticPoolLabels = {
  subnet: `${prefix}owner-spider-subnet`,
  applicationGroupVersion: `${prefix}owner-application-gv`,
  applicationKind: `${prefix}owner-application-kind`,
  applicationNamespace: `${prefix}owner-application-namespace`,
  applicationName: `${prefix}owner-application-name`,
  applicationUID: `${prefix}owner-application-uid`,
  ifName: `${prefix}interface`,
  family: `${prefix}ip-version`,
  reclaim: `${prefix}ippool-reclaim`,
} as const;

/** Keys of `spec.podAffinity.matchLabels` of an automatic pool. They name the application exactly, where a label's value ends at 63 characters. */
export const applicationAffinityKeys = {
  group: `${prefix}app-api-group`,
  version: `${prefix}app-api-version`,
  kind: `${prefix}app-kind`,
  namespace: `${prefix}app-namespace`,
  name: `${prefix}app-name`,
} as const;

/** Reads whom a pool was made for; `undefined` for a pool that was not made for an application. */
export function readAutomaticPool(labels: Labels, affinity: Labels): AutomaticPool | undefined {
  if (!Object.hasOwn(labels, automaticPoolLabels.applicationName)) return undefined;
  const named = (key: keyof typeof applicationAffinityKeys): string => affinity[applicationAffinityKeys[key]] ?? '';
  return {
    application: {
      apiVersion: named('group') === '' ? named('version') : `${named('group')}/${named('version')}`,
      kind: named('kind'),
      namespace: named('namespace'),
      name: named('name'),
    },
    applicationUID: labels[automaticPoolLabels.applicationUID] ?? '',
    ifName: labels[automaticPoolLabels.ifName] ?? '',
    subnet: labels[automaticPoolLabels.subnet] ?? '',
    isReclaimed: labels[automaticPoolLabels.reclaim] !== 'false',
  };
}

/** Whether the pool was made for this application, whichever of its incarnations. */
export const servesApplication = ({ application }: AutomaticPool, candidate: Omit<Application, 'uid'>): boolean =>
  applicationKey(application) === applicationKey(candidate);

/** The same for an application and for its next one of that name and kind, and for no other. */
export const applicationKey = ({ apiVersion, kind, namespace, name }: Omit<Application, 'uid'>): string =>
  [apiVersion, kind, namespace, name].join(' ');
