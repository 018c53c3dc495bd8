import { setTimeout as sleep } from 'node:timers/promises';
import type { PodIdentity } from '../contracts/attachment.ts';
import type { IPClaim } from '../contracts/crds/ipclaim.ts';
import type { ClaimHolder, ClaimPhase } from '../contracts/ip-claim.ts';
import type { Stickiness } from '../ipam/sticky-identity.ts';
import { type ApiClient, metadataOf } from './api-client.ts';
import { hasStatus } from './api-error.ts';
import { withSpec } from './claim-labels.ts';
import { findObject } from './find-object.ts';
import { createIdentityReader } from './identity-reader.ts';
import { listTable } from './list.ts';
import { type Deadline, deadlineIn, persist } from './persist.ts';

/** A claim as its printer columns show it; `pod` and the rest are those of its first holder. */
export interface ListedClaim {
  readonly name: string;
  readonly phase: ClaimPhase;
  readonly pool: string;
  readonly identity: string;
  readonly node: string;
  readonly pod: PodIdentity;
  readonly containerID: string;
}

export interface ReadClaim {
  readonly uid: string;
  readonly resourceVersion: string;
  readonly phase: ClaimPhase;
  readonly until?: string;
  readonly holders: readonly ClaimHolder[];
}

/** Names of all pods at one moment. */
export interface PodNames {
  readonly count: number;
  /** Own UIDs, and those in mirror annotations, by which the runtime knows a static pod. */
  hasUID(uid: string): boolean;
  hasName(namespace: string, name: string): boolean;
}

/** What a process follows anyway. Its first list is waited for, and it is listed instead while its watch is interrupted. */
export interface FollowedNames {
  readonly claims: Followed<readonly ListedClaim[]>;
  readonly pods: Followed<PodNames>;
}

interface Followed<Names> {
  readonly isWatching: boolean;
  /** Resolves when all that there is was seen once. */
  readonly listed: Promise<void>;
  names(): Names;
}

/** Undefined when it has to be listed. A process that was just started is about to know: listing besides would make that take longer. */
async function followedNames<Names>(
  followed: Followed<Names> | undefined,
  start: Deadline,
): Promise<Names | undefined> {
  if (followed === undefined) return undefined;
  const leftMs = start.remainingMs();
  if (!followed.isWatching && leftMs > 0) {
    const waiting = new AbortController();
    await Promise.race([followed.listed, sleep(leftMs, undefined, { signal: waiting.signal }).catch(() => undefined)]);
    waiting.abort();
  }
  return followed.isWatching ? followed.names() : undefined;
}

/**
 * Reads the cluster for what nobody owns any more: names and metadata of everything, from what is followed or from lists in pages
 * at the most recent state, and live reads of single objects. Ends what is Held for identities that have ended, and writes nothing
 * else. Fails with `ApiServerUnavailable`.
 */
export function createSuspectReader(
  api: ApiClient,
  stickiness: Stickiness = everythingSticks,
  followed?: FollowedNames,
) {
  const start = deadlineIn(startMs);
  const find = <Answer>(what: string, path: string, accept = 'application/json'): Promise<Answer | undefined> =>
    findObject(api, `read ${what}`, { method: 'GET', path, accept }, deadlineIn(readMs));

  return {
    claims: {
      list: async (): Promise<readonly ListedClaim[]> => {
        const known = await followedNames(followed?.claims, start);
        if (known !== undefined) return known;
        const rows = await persist('list IPClaims', deadlineIn(listMs), (timeoutMs) =>
          listTable(api, { path: claimsPath }, deadlineIn(timeoutMs)),
        );
        return rows.map((row) => ({
          name: row['Name'] ?? '',
          phase: (row['Phase'] ?? 'Bound') as ClaimPhase, // the schema requires it
          pool: row['Pool'] ?? '',
          identity: row['Identity'] ?? '',
          node: row['Node'] ?? '',
          pod: { namespace: row['Namespace'] ?? '', name: row['Pod'] ?? '', uid: row['Pod-UID'] ?? '' },
          containerID: row['Container-ID'] ?? '',
        }));
      },

      read: async (name: string): Promise<ReadClaim | undefined> => {
        const claim = await find<IPClaim>(`IPClaim "${name}"`, `${claimsPath}/${encodeURIComponent(name)}`);
        if (claim === undefined) return undefined;
        const { uid = '', resourceVersion = '' } = claim.metadata;
        const { phase, holders, until } = claim.spec;
        return { uid, resourceVersion, phase, holders, ...(until === undefined ? {} : { until }) };
      },

      end: async ({ name, uid, version }: SeenClaim): Promise<'deleted' | 'suspect' | 'changed'> => {
        const path = `${claimsPath}/${encodeURIComponent(name)}`;
        const claim = await find<IPClaim>(`IPClaim "${name}"`, path);
        if (claim?.metadata.uid !== uid || claim.metadata.resourceVersion !== version) return 'changed';
        const isProven = claim.spec.unproven !== true;
        return await persist(`end IPClaim "${name}"`, deadlineIn(readMs), async (timeoutMs) => {
          try {
            const preconditions = { uid, resourceVersion: version };
            if (isProven) await api.request({ method: 'DELETE', path, body: { preconditions }, timeoutMs });
            else await api.request({ method: 'PUT', path, body: asSuspect(claim), timeoutMs });
            return isProven ? 'deleted' : 'suspect';
          } catch (error) {
            if (hasStatus(error, 404) || hasStatus(error, 409)) return 'changed';
            throw error;
          }
        });
      },
    },

    identities: createIdentityReader(api, stickiness, readMs),

    pods: {
      list: async (): Promise<PodNames> => {
        const known = await followedNames(followed?.pods, start);
        if (known !== undefined) return known;
        return await persist('list pods', deadlineIn(listMs), (timeoutMs) => listPodNames(api, deadlineIn(timeoutMs)));
      },

      isThere: async ({ namespace, name, uid }: PodIdentity): Promise<boolean> => {
        const path = `/api/v1/namespaces/${encodeURIComponent(namespace)}/pods/${encodeURIComponent(name)}`;
        const pod = await find<PodMetadata>(`pod ${namespace}/${name}`, path, metadataOf('PartialObjectMetadata'));
        return pod !== undefined && (uid === '' || uidsOf(pod).includes(uid));
      },

      runningUID: async (namespace: string, name: string): Promise<string | undefined> => {
        const path = `/api/v1/namespaces/${encodeURIComponent(namespace)}/pods/${encodeURIComponent(name)}`;
        const pod = await find<PodMetadata & { readonly status?: { readonly phase?: string } }>(
          `pod ${namespace}/${name}`,
          path,
        );
        return pod?.status?.phase === 'Running' ? pod.metadata.uid : undefined;
      },
    },

    nodes: {
      /** `ready` as well while nobody has said anything of it: only a word that it is not counts. */
      state: async (name: string): Promise<'ready' | 'not ready' | 'absent'> => {
        const node = await find<NodeObject>(`node ${name}`, `/api/v1/nodes/${encodeURIComponent(name)}`);
        if (node === undefined) return 'absent';
        const ready = node.status?.conditions?.find(({ type }) => type === 'Ready');
        return ready === undefined || ready.status === 'True' ? 'ready' : 'not ready';
      },
    },
  };
}

/** For whoever was not told the cluster's settings. */
const everythingSticks: Stickiness = { stickyStatefulSets: true, stickyVirtualMachines: true };

/** A claim as a look at it found it. */
interface SeenClaim {
  readonly name: string;
  readonly uid: string;
  readonly version: string;
}

/** Of no identity, and given to others last, after a probe. No time ends that: only the word of its node, or a person. */
function asSuspect(claim: IPClaim): IPClaim {
  const { identity: _, unproven: __, ...spec } = claim.spec;
  return withSpec(claim, { ...spec, phase: 'Suspect', until: '9999-12-31T23:59:59Z' });
}

const claimsPath = '/apis/orbweaver.io/v1alpha1/ipclaims';
const listMs = 20_000;
/** How long the first lists of a process are waited for, in all: a sweep has a minute. */
const startMs = 20_000;
const readMs = 3000;

/** A pod without its spec and status. */
export interface PodMetadata {
  readonly metadata: {
    readonly name: string;
    readonly namespace: string;
    readonly uid: string;
    readonly annotations?: Readonly<Record<string, string>>;
  };
}

interface NodeObject {
  readonly status?: { readonly conditions?: readonly { readonly type: string; readonly status: string }[] };
}

/** A static pod has two: its mirror's own one, and in the mirror's annotation the one that the runtime passes. */
export const uidsOf = ({ metadata: { uid, annotations = {} } }: PodMetadata): readonly string[] => {
  const mirrored = annotations['kubernetes.io/config.mirror'];
  return mirrored === undefined ? [uid] : [uid, mirrored];
};

/** Page by page, keeping names only: 150,000 pods with their metadata are hundreds of megabytes. */
async function listPodNames(api: ApiClient, deadline: Deadline): Promise<PodNames> {
  const uids = new Set<string>();
  const names = new Set<string>();
  let next: string | undefined;
  do {
    const page = await api.request<{
      readonly metadata: { readonly continue?: string };
      /** Null, not empty, where there is none (Go's nil slice; lists of whole objects are never null). */
      readonly items: readonly PodMetadata[] | null;
    }>({
      method: 'GET',
      path: '/api/v1/pods',
      query: { limit: pageSize, continue: next },
      accept: metadataOf('PartialObjectMetadataList'),
      timeoutMs: deadline.remainingMs(),
    });
    for (const pod of page.items ?? []) {
      for (const uid of uidsOf(pod)) uids.add(uid);
      names.add(`${pod.metadata.namespace}/${pod.metadata.name}`);
    }
    next = page.metadata.continue;
  } while (next !== undefined && next !== '');
  return {
    count: names.size,
    hasUID: (uid) => uids.has(uid),
    hasName: (namespace, name) => names.has(`${namespace}/${name}`),
  };
}

/** When the server forgets the list's moment (410), the sweep after this one lists again. */
const pageSize = 1000;
