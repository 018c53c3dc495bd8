import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Connection } from '@temporalio/client';
import { searchAttributes } from '../../contracts/search-attributes.ts';
import { underlay } from '../../deploy/dev/layout.ts';
import { type Stack, startStack } from '../../deploy/dev/stack.ts';
import { findLeftovers, teardown } from '../../deploy/dev/teardown.ts';
import { parts, repositoryRoot } from '../../deploy/toolchain/parts.ts';
import { devServer } from '../../temporal-config/server.ts';

const newId = (): string => randomBytes(3).toString('hex');

describe('two stacks without nodes, side by side', () => {
  let stacks: Stack[] = [];
  beforeAll(async () => {
    stacks = await Promise.all([newId(), newId()].map((id) => startStack({ id, nodes: [] })));
  }, 120_000);
  afterAll(() => Promise.all(stacks.map((stack) => stack.stop())), 60_000);

  it('each have an API server that knows our resources', async () => {
    for (const stack of stacks) {
      const resources = await stack.kubectl('api-resources', '--output', 'name');
      for (const resource of [
        'ipclaims.orbweaver.io',
        'spiderippools.spiderpool.spidernet.io',
        'network-attachment-definitions.k8s.cni.cncf.io',
      ]) {
        expect(resources.split('\n')).toContain(resource);
      }
    }
  });

  it('share no object', async () => {
    const [one, other] = stacks;
    await one?.kubectl('create', 'namespace', 'only-here');
    expect(await other?.kubectl('get', 'namespaces', '--output', 'name')).not.toContain('only-here');
    expect(await one?.kubectl('get', 'namespaces', '--output', 'name')).toContain('only-here');
  });

  it('each have a Temporal server with our namespaces and search attributes, reached through the relay', async () => {
    for (const stack of stacks) {
      const connection = await Connection.connect({ address: stack.temporalAddress });
      try {
        for (const namespace of devServer.namespaces) {
          const { customAttributes } = await connection.operatorService.listSearchAttributes({ namespace });
          expect(Object.keys(customAttributes ?? {})).toEqual(expect.arrayContaining(Object.keys(searchAttributes)));
        }
      } finally {
        await connection.close();
      }
    }
  });

  it('each have a Temporal UI', async () => {
    for (const stack of stacks) {
      const page = await fetch(stack.uiUrl);
      expect([page.status, page.headers.get('content-type')]).toEqual([200, 'text/html']);
    }
  });

  it('have no link and no route that leads out', async () => {
    for (const { control, fabric, outside } of stacks) {
      for (const place of [control, fabric, outside]) {
        expect(await place.exec(['ip', 'route', 'show', 'default'])).toBe('');
        expect(await place.exec(['ip', '-6', 'route', 'show', 'default'])).toBe('');
      }
    }
  });

  it('reach the outside host over the underlay in both families', async () => {
    for (const { fabric } of stacks) {
      for (const address of ['10.70.255.2', 'fd00:70::ff02']) {
        await expect(fabric.exec(['busybox', 'ping', '-c', '1', '-W', '5', address])).resolves.toContain(
          '1 packets received',
        );
      }
    }
  });

  it('refuse a third with the id of one of them, and leave that one alone', async () => {
    const [one] = stacks;
    await expect(startStack({ id: one?.id ?? '', nodes: [] })).rejects.toThrow('is taken');
    await expect(one?.kubectl('get', '--raw', '/readyz')).resolves.toBe('ok');
  });
});

describe('down', () => {
  it.each([
    { moment: 'while the stack came up', killAt: 'Temporal answers' },
    { moment: 'when it was complete', killAt: 'End it with' },
  ])(
    'leaves nothing of a stack whose owner was killed $moment',
    async ({ killAt }) => {
      const id = newId();
      const owner = spawn(process.execPath, [join(repositoryRoot, 'deploy/dev/up.ts'), '--id', id, '--nodes', ''], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      try {
        for await (const line of createInterface(owner.stdout)) if (line.includes(killAt)) owner.kill('SIGKILL');
        expect(kinds(await findLeftovers(id))).toEqual(new Set(['process', 'network namespace', 'directory']));
        await down(id);
        expect(await findLeftovers(id)).toEqual([]);
      } finally {
        owner.kill('SIGKILL');
        await teardown(id);
      }
    },
    60_000,
  );

  it('has nothing to do after a start that failed', async () => {
    const id = newId();
    const notJson = { ...communityMacvlan, vlan: 70n };
    await expect(startStack({ id, nodes: ['node-a'], defaultNetwork: notJson })).rejects.toThrow('BigInt');
    expect(await findLeftovers(id)).toEqual([]);
  }, 60_000);

  it('leaves nothing of a node that runs pods', async () => {
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
        new Set(['process', 'network namespace', 'cgroup', 'directory']),
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

async function down(stack: string): Promise<void> {
  const ended = spawn(process.execPath, [join(repositoryRoot, 'deploy/dev/down.ts'), stack], { stdio: 'ignore' });
  expect(await once(ended, 'exit')).toEqual([0, null]);
}

/** Of "network namespace ow-…" and the like, what it is. */
const kinds = (leftovers: readonly string[]): Set<string> =>
  new Set(leftovers.map((line) => /^(network namespace|\w+)/.exec(line)?.[0] ?? line));
