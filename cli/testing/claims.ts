import type { IPClaim } from '../../contracts/crds/ipclaim.ts';

type Spec = IPClaim['spec'];

/** A claim as the API server gives it, bound to pay/api-0 where nothing else is said. */
export function claimOf(
  name: string,
  spec: Partial<Omit<Spec, 'holders'>> = {},
  ...holders: readonly Partial<Spec['holders'][number]>[]
): IPClaim {
  return {
    apiVersion: 'orbweaver.io/v1alpha1',
    kind: 'IPClaim',
    metadata: { name },
    spec: {
      address: `${name}/22`,
      pool: 'rack7-v4',
      phase: 'Bound',
      ...spec,
      holders: (holders.length === 0 ? [{}] : holders).map((holder) =>
        Object.assign(
          {
            namespace: 'pay',
            pod: 'api-0',
            podUID: '9c1f',
            interface: 'eth0',
            network: 'vlan70',
            node: 'r7-n1',
            containerID: `5b1d${'0'.repeat(60)}`,
            netns: '/run/netns/cni-api-0',
            netnsCookie: '4711',
            machineID: 'm',
            bootID: 'b',
          },
          holder,
        ),
      ),
    },
  };
}
