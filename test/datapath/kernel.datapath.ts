/** Our kernel code against the guest's kernel: the system calls, the threads and the codec work there as on the machine. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { type Kernel, openKernel } from '../../kernel/kernel.ts';
import { kernelDump } from './kernel-dump.ts';
import { reaches } from './traffic.ts';
import { TwoNodes } from './two-nodes.ts';

describe('a macvlan attachment', () => {
  let nodes: TwoNodes;
  let kernel: Kernel;
  before(() => {
    nodes = new TwoNodes();
    kernel = openKernel({ threads: 2, hostNetns: nodes.a });
  });
  after(async () => {
    await kernel.close();
    nodes[Symbol.dispose]();
  });

  it('reaches the host outside, and leaves pod and node as they were', async () => {
    const pod = nodes.pod();
    const state = (): unknown => [kernelDump(nodes.a), kernelDump(pod)];
    const before = state();
    const { cookie } = await kernel.identifyNamespace(pod);
    const attachment = { containerID: '5b1e', ifName: 'eth0', netns: pod, netnsCookie: cookie };
    const spec = {
      ...attachment,
      link: { kind: 'macvlan', master: 'eth0', mode: 'bridge' } as const,
      addresses: [
        {
          family: 4,
          address: '10.70.8.20/22',
          pool: 'v4',
          gateway: '10.70.8.1',
          routes: [{ dst: '0.0.0.0/0', gw: '10.70.8.1' }],
        },
        { family: 6, address: 'fd00:70::14/64', pool: 'v6', gateway: 'fd00:70::1', routes: [] },
      ] as const,
    };
    await kernel.plumb(spec);
    await reaches(pod, '10.70.8.1');
    await reaches(pod, 'fd00:70::1');
    assert.deepEqual(await kernel.check(spec), []);
    await kernel.unplumb(attachment);
    assert.deepEqual(state(), before);
  });
});
