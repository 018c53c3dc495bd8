import { describe, expect, it } from '@jest/globals';
import { ProvisionError } from '../contracts/failures.ts';
import type { NodeActivities } from '../contracts/node-activities.ts';
import type { AddRequest } from '../contracts/pod-network.ts';
import { fromTemporal } from '../temporal-config/failure-conversion.ts';
import { attach, detach } from './attach.ts';
import { addRequest, detachRequest, forwardFaults, NodeModel } from './testing/node-model.ts';
import type { Shield } from './unwind.ts';

const inline: Shield = (work) => work();
const request = addRequest();
const onBond: AddRequest = {
  ...request,
  network: {
    ...request.network,
    shared: [{ kind: 'bond', name: 'bond0', ports: ['eno1', 'eno2'], mode: 'active-backup', options: {} }],
  },
};

const coordinated: AddRequest = {
  ...onBond,
  network: { ...onBond.network, coordination: { conf: {}, coordinator: 'default' } },
};
const onlyCoordination: AddRequest = {
  ...request,
  attachment: { ...request.attachment, kind: 'coordinate' },
  network: {
    provides: 'coordination',
    coordination: { conf: {}, coordinator: 'default' },
    defaultIPv4Pools: [],
    defaultIPv6Pools: [],
    cleanGateway: false,
  },
};

const onlyRdma: AddRequest = {
  ...request,
  attachment: { ...request.attachment, kind: 'rdma' },
  network: {
    provides: 'rdma',
    device: { kind: 'rdma', pciAddress: '0000:3b:02.1' },
    defaultIPv4Pools: [],
    defaultIPv6Pools: [],
    cleanGateway: false,
  },
};

describe('attach', () => {
  it('claims the addresses before it makes the link', async () => {
    const node = new NodeModel();
    const { result } = await attach(node, request, inline);
    expect(node.calls).toEqual(['claimAddresses eth0', 'plumbLink eth0']);
    expect(result.ips).toEqual([{ address: '10.70.8.20/22', gateway: '10.70.8.1', interface: 0 }]);
  });

  it('makes no link for a network that only asks for addresses', async () => {
    const node = new NodeModel();
    const { result } = await attach(
      node,
      { ...request, network: { ...request.network, provides: 'addresses' } },
      inline,
    );
    expect(node.calls).toEqual(['claimAddresses eth0']);
    expect(result.interfaces).toEqual([]);
  });

  it('makes the links that pods share before everything else', async () => {
    const node = new NodeModel();
    await attach(node, onBond, inline);
    expect(node.calls).toEqual(['prepareLinks eth0', 'claimAddresses eth0', 'plumbLink eth0']);
  });

  it('makes nothing but them for a network that only asks for them', async () => {
    const node = new NodeModel();
    const { addresses, result } = await attach(
      node,
      { ...onBond, network: { ...onBond.network, provides: 'links' } },
      inline,
    );
    expect(node.calls).toEqual(['prepareLinks eth0']);
    expect([addresses, result.interfaces, result.ips]).toEqual([[], [], []]);
  });

  it('ties the interface to the node last', async () => {
    const node = new NodeModel();
    await attach(node, coordinated, inline);
    expect(node.calls).toEqual(['prepareLinks eth0', 'claimAddresses eth0', 'plumbLink eth0', 'coordinate eth0']);
  });

  it('does nothing but that for a network that only asks for it, and takes it back when it fails', async () => {
    const node = new NodeModel({ at: 'after', step: 'coordinate' });
    await expect(attach(node, onlyCoordination, inline)).rejects.toThrow('failed after coordinate');
    expect(node.calls).toEqual(['coordinate eth0', 'removeLink eth0', 'releaseAddresses eth0']);
    expect(node.holds).toEqual(new Set());
  });

  it('moves nothing but the RDMA device for a network that only asks for it, and takes it back when it fails', async () => {
    const node = new NodeModel({ at: 'after', step: 'lendRdma' });
    await expect(attach(node, onlyRdma, inline)).rejects.toThrow('failed after lendRdma');
    expect(node.calls).toEqual(['lendRdma eth0', 'removeLink eth0', 'releaseAddresses eth0']);
    expect(node.holds).toEqual(new Set());
  });

  it.each(forwardFaults)('leaves the node as it was when it fails $at $step', async (fault) => {
    const node = new NodeModel(fault);
    await expect(attach(node, coordinated, inline)).rejects.toThrow(`failed ${fault.at} ${fault.step}`);
    expect(node.holds).toEqual(new Set());
  });

  it.each(forwardFaults)(
    'leaves the node as it was when it fails $at $step and every undo runs twice',
    async (fault) => {
      const model = new NodeModel(fault);
      await expect(attach(twice(model), coordinated, inline)).rejects.toThrow();
      expect(model.holds).toEqual(new Set());
    },
  );

  it('ends the same when every step runs twice', async () => {
    const model = new NodeModel();
    await attach(twice(model), request, inline);
    expect(model.holds).toEqual(new Set(['address 5bc0ffee', 'link 5bc0ffee']));
  });

  it('keeps the address when the link cannot be removed, and says so', async () => {
    const node = new NodeModel({ at: 'after', step: 'plumbLink' }, { at: 'before', step: 'removeLink', always: true });
    const failure = await attach(node, request, inline).catch(fromTemporal);
    expect(failure).toMatchObject({ type: 'UnwindStuck', message: expect.stringContaining('step "link"') });
    expect(node.holds).toEqual(new Set(['address 5bc0ffee', 'link 5bc0ffee']));
  });

  it('undoes nothing of a request that another owner has taken over', async () => {
    const node = new NodeModel();
    const superseded = new ProvisionError({ type: 'Superseded', message: 'taken over' });
    const overtaken: NodeActivities = {
      ...twice(node),
      plumbLink: () => Promise.reject(superseded),
    };
    await expect(attach(overtaken, request, inline)).rejects.toThrow('taken over');
    expect(node.holds).toEqual(new Set(['address 5bc0ffee']));
  });
});

describe('detach', () => {
  it('removes the link before it frees the addresses', async () => {
    const node = new NodeModel();
    await attach(node, request, inline);
    await detach(node, detachRequest(request));
    expect(node.calls.slice(2)).toEqual(['removeLink eth0', 'releaseAddresses eth0']);
    expect(node.holds).toEqual(new Set());
  });

  it('succeeds for an attachment that was never made', async () => {
    await expect(detach(new NodeModel(), detachRequest(request))).resolves.toBeUndefined();
  });
});

/** Every activity and undo runs twice, as they do when a workflow task is lost after its local activities. */
const twice = (node: NodeActivities): NodeActivities => ({
  prepareLinks: (add) => repeated(() => node.prepareLinks(add)),
  claimAddresses: (add) => repeated(() => node.claimAddresses(add)),
  plumbLink: (add, addresses) => repeated(() => node.plumbLink(add, addresses)),
  lendRdma: (add) => repeated(() => node.lendRdma(add)),
  coordinate: (add, made) => repeated(() => node.coordinate(add, made)),
  removeLink: (gone) => repeated(() => node.removeLink(gone)),
  releaseAddresses: (gone) => repeated(() => node.releaseAddresses(gone)),
  answerFailure: (nonce, failure) => repeated(() => node.answerFailure(nonce, failure)),
});

async function repeated<T>(work: () => Promise<T>): Promise<T> {
  await work();
  return await work();
}
