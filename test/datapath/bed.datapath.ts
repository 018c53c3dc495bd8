/**
 * Proves that the guest can carry what the other tests of this tier count on: VFs, RDMA, the helpers for traffic. Links are made by
 * ip(8) here, not by our code.
 */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { eventually } from '../../deploy/dev/eventually.ts';
import { lacks, loadModules } from './guest-machine.ts';
import {
  addRdmaDevice,
  moveRdmaDevice,
  ownNamespace,
  rdmaDevices,
  rdmaPing,
  removeRdmaDevice,
  setRdmaMode,
} from './rdma-devices.ts';
import { answers, isTaken, reaches, tcpEcho } from './traffic.ts';
import { inHost, ip, nameOf, TwoNodes } from './two-nodes.ts';
import {
  createVirtualFunctions,
  linkOf,
  physicalFunctions,
  rebind,
  removeVirtualFunctions,
  type VirtualFunction,
} from './virtual-functions.ts';

describe('two nodes joined by a cable', () => {
  let nodes: TwoNodes;
  before(() => {
    nodes = new TwoNodes();
    ip(nodes.a, 'addr add 10.70.4.1/24 dev eth1', 'addr add fd00:74::1/64 dev eth1 nodad');
    ip(nodes.b, 'addr add 10.70.4.2/24 dev eth1', 'addr add fd00:74::2/64 dev eth1 nodad');
  });
  after(() => nodes[Symbol.dispose]());

  it('answer each other, lose nothing of a TCP connection, and see an address that is taken', async () => {
    await reaches(nodes.a, '10.70.4.2');
    await reaches(nodes.a, 'fd00:74::2');
    const { sent, answered } = await tcpEcho(nodes.a, nodes.b, '10.70.4.2');
    assert.equal(answered, sent);
    assert.equal(await isTaken(nodes.a, 'eth1', '10.70.4.2'), true);
    assert.equal(await isTaken(nodes.a, 'eth1', '10.70.4.9'), false);
  });
});

describe('the VFs of a PF', () => {
  const { node, outside } = physicalFunctions;
  let nodes: TwoNodes;
  let far: string;
  let vfs: readonly VirtualFunction[];
  const pf = (): string => linkOf(node) ?? '';

  before(async () => {
    nodes = new TwoNodes();
    far = nodes.namespace('far');
    inHost(`link set ${linkOf(outside)} netns ${nameOf(far)} name wire`);
    ip(far, 'link set wire up', 'addr add 10.70.7.1/24 dev wire');
    inHost(`link set ${pf()} up`);
    inHost(`addr add 10.70.7.2/24 dev ${pf()}`);
    vfs = await createVirtualFunctions(node, 3);
  });
  after(() => {
    removeVirtualFunctions(node);
    inHost(`addr flush dev ${pf()}`);
    nodes[Symbol.dispose]();
  });

  async function intoPod(index: number, host: number): Promise<string> {
    const vf = await rebind(vfs[index] ?? assert.fail('no such VF'));
    const pod = nodes.pod();
    inHost(`link set ${vf.link} netns ${nameOf(pod)} name eth0`);
    ip(pod, `addr add 10.70.7.${host}/24 dev eth0`, 'link set eth0 up');
    return pod;
  }

  it('talk to each other, to the PF and to the host outside, and a tagged one to nobody', async () => {
    inHost(`link set ${pf()} vf 2 vlan 100`);
    const [first, second, tagged] = [await intoPod(0, 11), await intoPod(1, 12), await intoPod(2, 13)];
    for (const address of ['10.70.7.12', '10.70.7.2', '10.70.7.1']) await reaches(first, address);
    await reaches(second, '10.70.7.11');
    assert.ok(!(await answers(tagged, '10.70.7.11')));
    assert.ok(!(await answers(tagged, '10.70.7.1')));
    ip(
      far,
      'link add link wire name wire.100 type vlan id 100',
      'link set wire.100 up',
      'addr del 10.70.7.1/24 dev wire',
      'addr add 10.70.7.1/24 dev wire.100',
    );
    await reaches(tagged, '10.70.7.1');
  });
});

describe('RDMA between namespaces', () => {
  let nodes: TwoNodes;
  before(() => {
    nodes = new TwoNodes();
    ip(nodes.a, 'addr add 10.70.4.1/24 dev eth1');
    ip(nodes.b, 'addr add 10.70.4.2/24 dev eth1');
    loadModules('rdma_rxe', 'rdma_ucm', 'ib_uverbs');
  });
  after(() => nodes[Symbol.dispose]());

  for (const kind of ['rxe', 'siw'] as const) {
    const module = kind === 'rxe' ? 'rdma_rxe' : 'siw';
    it(`works in shared mode with ${kind}`, { skip: lacks(module) }, async () => {
      loadModules(module);
      addRdmaDevice(nodes.a, kind, `${kind}a`, 'eth1');
      addRdmaDevice(nodes.b, kind, `${kind}b`, 'eth1');
      try {
        await rdmaPing(nodes.a, nodes.b, '10.70.4.2');
      } finally {
        for (const [node, name] of [[nodes.a, `${kind}a`] as const, [nodes.b, `${kind}b`] as const]) {
          removeRdmaDevice(node, name);
        }
      }
      assert.deepEqual(await rdmaDevices(nodes.a), []);
    });
  }
});

describe('a VF with an RDMA device on it, in exclusive mode,', { skip: lacks('rdma_rxe') }, () => {
  const { node } = physicalFunctions;
  let nodes: TwoNodes;
  let vfs: readonly VirtualFunction[];
  before(async () => {
    loadModules('rdma_rxe', 'rdma_ucm', 'ib_uverbs');
    await setRdmaMode('exclusive');
    nodes = new TwoNodes();
    inHost(`link set ${linkOf(node)} up`);
    vfs = await createVirtualFunctions(node, 2);
  });
  after(async () => {
    nodes[Symbol.dispose]();
    removeVirtualFunctions(node);
    await setRdmaMode('shared');
  });

  it('is seen and used in its pod only, and comes back when the namespace ends', async () => {
    const [first = '', second = ''] = vfs.map(({ index, link }) => {
      const pod = nodes.pod();
      addRdmaDevice(ownNamespace, 'rxe', `rdma${index}`, link);
      inHost(`link set ${link} netns ${nameOf(pod)} name eth0`);
      moveRdmaDevice(`rdma${index}`, pod);
      ip(pod, `addr add 10.70.7.${index + 11}/24 dev eth0`, 'link set eth0 up');
      return pod;
    });
    assert.deepEqual([await rdmaDevices(first), await rdmaDevices(second)], [['rdma0'], ['rdma1']]);
    assert.deepEqual(await rdmaDevices(ownNamespace), []);
    await reaches(first, '10.70.7.12');
    await rdmaPing(first, second, '10.70.7.12');
    nodes[Symbol.dispose]();
    await eventually('both halves are back', 20, async () => {
      const devices = (await rdmaDevices(ownNamespace)).toSorted();
      const links = vfs.filter(({ pci }) => linkOf(pci) !== undefined);
      return devices.join() === 'rdma0,rdma1' && links.length === 2
        ? { value: undefined }
        : { state: `RDMA devices ${devices.join()}, ${links.length} links` };
    });
  });
});
