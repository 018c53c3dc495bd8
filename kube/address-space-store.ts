import type { AddressSpace as AddressSpaceObject } from '../contracts/crds/addressspace.ts';
import type { Family } from '../ipam/address.ts';
import type { AddressSpace } from '../ipam/admission/address-space.ts';
import type { ApiClient } from './api-client.ts';
import { hasStatus, leavesDoubt } from './api-error.ts';

const collection = '/apis/orbweaver.io/v1alpha1/addressspaces';

/** A space as it was read, and on what a write is conditional; no resourceVersion: nobody wrote one yet. */
export interface ReadSpace {
  readonly space: AddressSpace;
  readonly resourceVersion?: string;
}

/** The one `AddressSpace` of each family, shared by all replicas. Missing is empty: what exists is in the list of pools. */
export class AddressSpaceStore {
  readonly #api: ApiClient;

  constructor(api: ApiClient) {
    this.#api = api;
  }

  async read(family: Family, timeoutMs: number): Promise<ReadSpace> {
    const path = `${collection}/ipv${family}`;
    try {
      const { metadata, spec } = await this.#api.request<AddressSpaceObject>({ method: 'GET', path, timeoutMs });
      const { resourceVersion } = metadata;
      return { space: spec, ...(resourceVersion !== undefined && { resourceVersion }) };
    } catch (error) {
      if (hasStatus(error, 404)) return { space: { entries: [] } };
      throw error;
    }
  }

  /**
   * Writes a space if it still is what was read. `overtaken`: another replica wrote meanwhile, or the answer was lost and this
   * write itself may have taken effect; either way the next read tells.
   */
  async replace(
    family: Family,
    { space, resourceVersion }: ReadSpace,
    timeoutMs: number,
  ): Promise<'written' | 'overtaken'> {
    const name = `ipv${family}`;
    const isNew = resourceVersion === undefined;
    const body: AddressSpaceObject = {
      apiVersion: 'orbweaver.io/v1alpha1',
      kind: 'AddressSpace',
      metadata: { name, ...(!isNew && { resourceVersion }) },
      spec: space,
    };
    try {
      await this.#api.request({
        method: isNew ? 'POST' : 'PUT',
        path: isNew ? collection : `${collection}/${name}`,
        query: { fieldManager: 'orbweaver' },
        body,
        timeoutMs,
      });
      return 'written';
    } catch (error) {
      // Deleted by hand: then it is not there to be replaced.
      if (hasStatus(error, 409) || hasStatus(error, 404) || leavesDoubt(error)) return 'overtaken';
      throw error;
    }
  }
}
