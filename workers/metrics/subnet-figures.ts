import type { ApiClient } from '../../kube/api-client.ts';
import { hasStatus } from '../../kube/api-error.ts';
import { listObjects } from '../../kube/list.ts';
import { deadlineIn } from '../../kube/persist.ts';

/** What the metrics tell of a SpiderSubnet: its published status, in numbers. */
export interface SpiderSubnetFigures {
  readonly name: string;
  readonly pools: number;
  readonly total: number;
  /** Addresses that its pools have. */
  readonly allocated: number;
}

interface SubnetObject {
  readonly metadata: { readonly name: string };
  readonly status?: {
    /** JSON: a map by name of the pool. */
    readonly controlledIPPools?: string | null;
    readonly totalIPCount?: number | null;
    readonly allocatedIPCount?: number | null;
  };
}

const readMs = 2000;

/** Reads the subnets once, for whoever looks at the metrics; none where the cluster knows no such resource. */
export async function readSubnetFigures(api: ApiClient): Promise<readonly SpiderSubnetFigures[]> {
  try {
    const path = '/apis/spiderpool.spidernet.io/v2beta1/spidersubnets';
    const { items } = await listObjects<SubnetObject>(api, { path }, deadlineIn(readMs));
    return items.map(({ metadata: { name }, status = {} }) => ({
      name,
      pools: poolsIn(status.controlledIPPools ?? '{}'),
      total: status.totalIPCount ?? 0,
      allocated: status.allocatedIPCount ?? 0,
    }));
  } catch (error) {
    if (hasStatus(error, 404)) return [];
    throw error;
  }
}

function poolsIn(text: string): number {
  try {
    return Object.keys((JSON.parse(text) as object | null) ?? {}).length;
  } catch {
    return 0; // somebody wrote it by hand
  }
}
