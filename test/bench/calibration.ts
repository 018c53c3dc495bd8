import { join } from 'node:path';
import { repositoryRoot } from '../../deploy/toolchain/parts.ts';
import { openApiClient } from '../../kube/api-client.ts';
import { hasStatus } from '../../kube/api-error.ts';
import { endpointOf } from '../../kube/kubeconfig.ts';
import { collection, holderOf } from '../../kube/testing/claim-fixtures.ts';
import type { Fleet } from '../fleet/fleet.ts';
import { quantile } from './statistics.ts';

/** p50 in milliseconds of single requests to the API server, one at a time, without anything of ours on the way. */
export type Calibration = Readonly<Record<'create' | 'createTaken' | 'read' | 'remove', number>>;

/**
 * The same on the machine on which Spiderpool was measured (300-byte objects, etcd with fsync): what this machine does in another
 * time says how its other figures compare.
 */
export const calibrationOfReference: Calibration = { create: 1.8, createTaken: 1.9, read: 1.2, remove: 2 };

/** Runs this file on the fleet's first node, which asks the API server as a node worker does. */
export async function calibrate(fleet: Fleet): Promise<Calibration> {
  const program = join(repositoryRoot, 'test/bench/calibration.ts');
  const { node } = fleet.node();
  return JSON.parse(await node.exec([process.execPath, program, node.paths.workerKubeconfig])) as Calibration;
}

/** How many times slower this machine is: the mean of the ratios. */
export const slowness = (found: Calibration): number => {
  const kinds = Object.keys(calibrationOfReference) as (keyof Calibration)[];
  return kinds.reduce((sum, kind) => sum + found[kind] / calibrationOfReference[kind], 0) / kinds.length;
};

async function measure(kubeconfig: string): Promise<Calibration> {
  const api = openApiClient(await endpointOf(kubeconfig));
  const timed = async (work: (name: string) => Promise<unknown>): Promise<number> => {
    const took: number[] = [];
    for (let index = 0; index < 300; index += 1) {
      const startedAt = performance.now();
      await work(`10.99.${index >> 8}.${index & 255}`);
      took.push(performance.now() - startedAt);
    }
    return Math.round(quantile(took, 0.5) * 100) / 100;
  };
  const create = (name: string): Promise<unknown> =>
    api.request({ method: 'POST', path: collection, body: claimOf(name), timeoutMs: 5000 });
  try {
    return {
      create: await timed(create),
      createTaken: await timed((name) =>
        create(name).catch((error: unknown) => {
          if (!hasStatus(error, 409)) throw error;
        }),
      ),
      read: await timed((name) => api.request({ method: 'GET', path: `${collection}/${name}`, timeoutMs: 5000 })),
      remove: await timed((name) => api.request({ method: 'DELETE', path: `${collection}/${name}`, timeoutMs: 5000 })),
    };
  } finally {
    await api.close();
  }
}

const claimOf = (name: string): object => ({
  apiVersion: 'orbweaver.io/v1alpha1',
  kind: 'IPClaim',
  metadata: { name },
  spec: {
    address: `${name}/16`,
    pool: 'calibration',
    phase: 'Bound',
    holders: [holderOf()],
  },
});

if (import.meta.main) console.log(JSON.stringify(await measure(process.argv[2] ?? '')));
