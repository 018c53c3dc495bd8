import {
  type KeepingObject,
  type StatefulSetObject,
  whyIPAMClaimEnded,
  whyMachineEnded,
  whyOrdinalEnded,
} from '../ipam/identity-end.ts';
import { type Identity, parseIdentity, type Stickiness } from '../ipam/sticky-identity.ts';
import { type ApiClient, metadataOf } from './api-client.ts';
import { ApiError, hasStatus } from './api-error.ts';
import { deadlineIn, persist } from './persist.ts';

/** Whether somebody will come back for an address that sticks to an identity. */
export type IdentityState =
  | { readonly state: 'wanted' }
  | { readonly state: 'ended'; readonly why: string }
  /** Nobody may give the address away on this. */
  | { readonly state: 'unknown'; readonly why: string };

export interface IdentityReader {
  /** From reads that begin now, one for each owner, however many of its ordinals are asked for. Never throws. */
  states(identities: readonly string[]): Promise<ReadonlyMap<string, IdentityState>>;
}

/** @param limitMs For one owner; 1,000 ms when absent. */
export function createIdentityReader(api: ApiClient, stickiness: Stickiness, limitMs = 1000): IdentityReader {
  const read = <Wire>(path: string, accept = 'application/json'): Promise<Wire | undefined> =>
    persist(`read ${path}`, deadlineIn(limitMs), async (timeoutMs) => {
      try {
        return await api.request<Wire>({ method: 'GET', path, accept, timeoutMs });
      } catch (error) {
        if (!hasStatus(error, 404)) throw error;
        if (error instanceof ApiError && error.reason === 'NotFound') return undefined;
        // It says so also while it starts, so this is no answer.
        throw new Error(`The API server knows no such kind: ${path}`, { cause: error });
      }
    });

  async function whyEnded(group: readonly Identity[]): Promise<readonly (string | undefined)[]> {
    const [first] = group;
    if (first === undefined) return [];
    const place = `namespaces/${encodeURIComponent(first.namespace)}`;
    const name = encodeURIComponent(first.name);
    if (first.kind === 'StatefulSet') {
      if (!stickiness.stickyStatefulSets) return group.map(() => 'StatefulSets keep no addresses any more');
      const found = await read<StatefulSetObject>(`/apis/apps/v1/${place}/statefulsets/${name}`);
      return group.map((one) => (one.kind === 'StatefulSet' ? whyOrdinalEnded(one, found) : undefined));
    }
    const keeping = (version: string, plural: string): Promise<KeepingObject | undefined> =>
      read<KeepingObject>(`/apis/${version}/${place}/${plural}/${name}`, metadataOf('PartialObjectMetadata'));
    if (first.kind === 'IPAMClaim') {
      return [whyIPAMClaimEnded(first, await keeping('k8s.cni.cncf.io/v1alpha1', 'ipamclaims'))];
    }
    if (!stickiness.stickyVirtualMachines) return group.map(() => 'virtual machines keep no addresses any more');
    const [instance, machine] = await Promise.all([
      keeping('kubevirt.io/v1', 'virtualmachineinstances'),
      keeping('kubevirt.io/v1', 'virtualmachines'),
    ]);
    return [whyMachineEnded(first, instance, machine)];
  }

  async function stateOf(texts: readonly string[]): Promise<readonly (readonly [string, IdentityState])[]> {
    const group = texts.flatMap((text) => parseIdentity(text) ?? []);
    try {
      const ends = await whyEnded(group);
      return texts.map((text, at) => {
        const why = ends[at];
        return [text, why === undefined ? { state: 'wanted' } : { state: 'ended', why }];
      });
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      return texts.map((text) => [text, { state: 'unknown', why }]);
    }
  }

  return {
    async states(identities) {
      const known = identities.filter((text) => parseIdentity(text) !== undefined);
      const strange = identities.filter((text) => parseIdentity(text) === undefined);
      const byOwner = [...Map.groupBy(new Set(known), ownerOf).values()];
      const states: (readonly [string, IdentityState])[] = strange.map((text) => [
        text,
        { state: 'unknown', why: `"${text}" is no identity that this version knows` },
      ]);
      for (let from = 0; from < byOwner.length; from += atOnce) {
        states.push(...(await Promise.all(byOwner.slice(from, from + atOnce).map(stateOf))).flat());
      }
      return new Map(states);
    },
  };
}

const atOnce = 16;

/** Everything but an ordinal: "StatefulSet/pay/api". */
const ownerOf = (identity: string): string => identity.split('/').slice(0, 3).join('/');
