import { createHash, randomUUID } from 'node:crypto';
import type { IPClaim } from '../../contracts/crds/ipclaim.ts';
import { ipClaimLabels } from '../../contracts/ip-claim.ts';
import { formatAddress, parseAddress } from '../../ipam/address.ts';
import { labelHash } from '../../kube/label-hash.ts';
import type { BenchPool } from './pools.ts';

/** A node without a worker, on which strangers are. */
export const elsewhere = 'elsewhere';

/** A pod on a node that nobody measures, and its address. */
export interface Stranger {
  /** As long as that of any other stranger. */
  readonly name: string;
  readonly address: string;
  readonly containerID: string;
}

/** Of the pods that fill a pool the one of this number. Their addresses are spread evenly over its range. */
export function strangerOf(pool: BenchPool, index: number): Stranger {
  const [first = ''] = pool.range.split('-');
  const start = parseAddress(first)?.value ?? 0n;
  const offset = Math.floor((index * pool.size) / pool.used);
  const name = `${pool.name}-${String(index).padStart(6, '0')}`;
  return {
    name,
    address: formatAddress({ family: pool.family, value: start + BigInt(offset) }),
    containerID: createHash('sha256').update(name).digest('hex'),
  };
}

export const strangersClaim = (pool: BenchPool, stranger: Stranger, podUID: string): IPClaim => ({
  apiVersion: 'orbweaver.io/v1alpha1',
  kind: 'IPClaim',
  metadata: {
    name: stranger.address,
    labels: { [ipClaimLabels.pool]: labelHash(pool.name), [ipClaimLabels.node]: labelHash(elsewhere) },
  },
  spec: {
    address: `${stranger.address}${pool.subnet.slice(pool.subnet.indexOf('/'))}`,
    pool: pool.name,
    phase: 'Bound',
    holders: [
      {
        namespace: 'default',
        pod: stranger.name,
        podUID,
        interface: 'eth0',
        network: 'underlay',
        containerID: stranger.containerID,
        netns: netnsOf(stranger),
        netnsCookie: '4242',
        node: elsewhere,
        machineID: '6d7a3b1e-52f4-4f6a-9a53-2f0c5ab1c9d4',
        bootID: '0c6d0c8e-31a7-4a6e-b2f7-5a7d3f1b2e90',
      },
    ],
  },
});

/** An object as etcd has it. */
export interface Stored {
  readonly key: string;
  /** Bytes as latin1: a pod is protobuf. */
  readonly value: string;
}

/** What a stranger has, and what of it no other has. */
export interface StrangersObjects {
  readonly stranger: Stranger;
  readonly stored: readonly Stored[];
  readonly uids: readonly string[];
}

/** The same of another stranger. What differs is replaced where it stands: in a pod, which is protobuf, by text of the same length. */
export function asAnother({ stranger, stored, uids }: StrangersObjects, other: Stranger): readonly Stored[] {
  const replacements = [
    [stranger.name, other.name],
    [stranger.containerID, other.containerID],
    [netnsOf(stranger), netnsOf(other)],
    [stranger.address, other.address],
    ...uids.map((uid) => [uid, randomUUID()] as const),
  ] as const;
  const replaced = (text: string): string =>
    replacements.reduce((soFar, [before, after]) => soFar.replaceAll(before, after), text);
  return stored.map(({ key, value }) => ({ key: replaced(key), value: replaced(value) }));
}

const netnsOf = ({ containerID }: Stranger): string => `/run/netns/cni-${containerID.slice(0, 36)}`;
