import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { underlay } from '../../deploy/dev/layout.ts';
import { type Stack, startStack } from '../../deploy/dev/stack.ts';
import { findLeftovers } from '../../deploy/dev/teardown.ts';
import { parts } from '../../deploy/toolchain/parts.ts';
import { down, kinds } from '../testing/stack-end.ts';

describe('a dev stack with a node', () => {
  it('leaves nothing when its start fails', async () => {
    const id = randomBytes(3).toString('hex');
    const notJson = { ...communityMacvlan, vlan: 70n };
    await expect(startStack({ id, nodes: ['node-a'], defaultNetwork: notJson })).rejects.toThrow('BigInt');
    expect(await findLeftovers(id)).toEqual([]);
  }, 60_000);

  it('leaves nothing of its pods when it is ended', async () => {
    const under = await mkdtemp(join(tmpdir(), 'ow-'));
    const stack = await startStack({ nodes: ['node-a'], temporal: false, under, defaultNetwork: communityMacvlan });
    try {
      const [node] = stack.nodes;
      await node?.untilReady();
      await startPod(stack, 'pinger');
      const [address] = (await stack.kubectl('get', 'pod', 'pinger', '--output', 'jsonpath={.status.podIP}')).split(
        '\n',
      );
      await stack.outside.exec(['busybox', 'ping', '-c', '1', '-W', '5', address ?? '']);

      expect(kinds(await findLeftovers(stack.id, stack.directory))).toEqual(
        new Set(['process', 'network namespace', 'mount', 'cgroup', 'directory']),
      );
      await down(stack.directory);
      expect(await findLeftovers(stack.id, stack.directory)).toEqual([]);
    } finally {
      await stack.stop();
      await rm(under, { recursive: true });
    }
  }, 120_000);
});

/** A cluster network that needs none of our own code. */
const communityMacvlan = {
  cniVersion: '1.1.0',
  name: 'underlay',
  type: 'macvlan',
  master: 'underlay0',
  mode: 'bridge',
  ipam: {
    type: 'host-local',
    ranges: [
      [{ subnet: underlay.v4.subnet, rangeStart: '10.70.8.1', rangeEnd: '10.70.8.250', gateway: underlay.v4.gateway }],
    ],
    routes: [{ dst: '0.0.0.0/0' }],
  },
};

async function startPod(stack: Stack, name: string): Promise<void> {
  const { reference } = parts['busybox-image'].recipe;
  // Pods are refused until the controller-manager has made the namespace's service account.
  await stack.kubectl('wait', '--for=create', 'serviceaccount/default', '--timeout=30s');
  await stack.kubectl(
    'run',
    name,
    `--image=${reference}`,
    '--image-pull-policy=Never',
    '--command',
    '--',
    'sleep',
    '100000',
  );
  await stack.kubectl('wait', '--for=condition=Ready', `pod/${name}`, '--timeout=60s');
}
