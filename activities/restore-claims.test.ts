import { beforeEach, describe, expect, it } from '@jest/globals';
import type { IPClaim } from '../contracts/crds/ipclaim.ts';
import type { DeviceLease } from '../contracts/device.ts';
import type { AddRequest } from '../contracts/pod-network.ts';
import { node } from '../workers/node/testing/node-world.ts';
import { ReclaimStage } from '../workers/node/testing/reclaim-stage.ts';
import { restoreClaims } from './restore-claims.ts';

let stage: ReclaimStage;
let sandbox: AddRequest;
let claim: IPClaim;
beforeEach(async () => {
  stage = await ReclaimStage.open();
  sandbox = await stage.attach('c1');
  const [made] = stage.world.api.all();
  if (made === undefined) throw new Error('Nothing was claimed');
  claim = made;
});

const compare = () => restoreClaims(stage.restorePorts);
const holds = (): readonly string[] => stage.world.holds;

async function deleteClaim(): Promise<void> {
  const path = `/apis/orbweaver.io/v1alpha1/ipclaims/${claim.metadata.name}`;
  await stage.world.api.request({ method: 'DELETE', path, timeoutMs: 1000 });
}

const holderIn = (more: object): IPClaim['spec']['holders'][number] => {
  const [holder] = claim.spec.holders;
  if (holder === undefined) throw new Error('Nobody holds it');
  return { ...holder, ...more };
};
const ofStranger = { pod: 'other', podUID: 'uid-of-other', containerID: 'c9', node: 'r7-n2' };

describe('an address that a living sandbox uses', () => {
  it('is left as it is when its claim is there', async () => {
    const before = holds();
    expect(await compare()).toEqual({ restored: 0, takenDown: 0 });
    expect(holds()).toEqual(before);
  });

  it('is claimed again, just as it was, when its claim was deleted', async () => {
    await deleteClaim();
    expect(await compare()).toEqual({ restored: 1, takenDown: 0 });
    const [again] = stage.world.api.all();
    expect(again?.spec).toEqual(claim.spec);
    expect(again?.metadata.labels).toEqual(claim.metadata.labels);
  });

  it('goes to the one who claimed it meanwhile: the interface is taken down', async () => {
    await deleteClaim();
    await stage.world.putClaim(claim.metadata.name, 'Bound', holderIn(ofStranger));
    expect(await compare()).toEqual({ restored: 0, takenDown: 1 });
    expect(holds()).toEqual([`claim ${claim.metadata.name} Bound c9`, 'record c1 underlay/eth0/attach done']);
    expect(stage.world.logged).toContainEqual(expect.objectContaining({ level: 'error' }));
    expect(await compare()).toEqual({ restored: 0, takenDown: 0 });
  });

  it.each([
    ['Bound to the next sandbox of the pod', 'Bound', { containerID: 'c2' }],
    ['Held for the pod', 'Held', {}],
    ['Suspect', 'Suspect', {}],
  ] as const)('keeps its interface when its claim is %s', async (_, phase, more) => {
    await deleteClaim();
    await stage.world.putClaim(claim.metadata.name, phase, holderIn(more));
    expect(await compare()).toEqual({ restored: 0, takenDown: 0 });
    expect(holds()).toContainEqual(expect.stringMatching(/^link .* of c1 /));
  });
});

describe('an address on a device that is lent', () => {
  const onDevice = (lease: DeviceLease): void => {
    for (const [key, record] of stage.world.records) stage.world.records.set(key, { ...record, lease });
  };
  const ofStrangerNow = async (): Promise<void> => {
    await deleteClaim();
    await stage.world.putClaim(claim.metadata.name, 'Bound', holderIn(ofStranger));
  };

  it('is taken off it when another pod has it by now, and the device stays', async () => {
    onDevice({ pciAddress: '0000:01:10.0', link: { ifName: 'vf0', mac: '', mtuBytes: 1500, isUp: true, alias: '' } });
    await ofStrangerNow();
    const before = stage.world.trace.length;
    expect(await compare()).toEqual({ restored: 0, takenDown: 1 });
    expect(stage.world.trace.slice(before)).toContain('kernel.removeAddresses');
    expect(stage.world.trace.slice(before)).not.toContain('kernel.unplumb');
  });

  it('is claimed again though no kernel shows it, when a program drives the device', async () => {
    onDevice({ pciAddress: '0000:01:10.0' });
    stage.world.namespaces.get(sandbox.netns)?.links.clear();
    await deleteClaim();
    expect(await compare()).toEqual({ restored: 1, takenDown: 0 });
  });

  it('is another pod’s by now and out of our reach when a program drives the device: the log says what to do', async () => {
    onDevice({ pciAddress: '0000:01:10.0' });
    await ofStrangerNow();
    expect(await compare()).toEqual({ restored: 0, takenDown: 0 });
    expect(stage.world.logged).toContainEqual(expect.objectContaining({ level: 'error' }));
  });
});

describe('a claim that is missing', () => {
  beforeEach(() => deleteClaim());

  it.each<[string, () => void]>([
    ['its pod is gone', () => stage.deletePod(sandbox)],
    ['its sandbox is gone', () => stage.namespaceGone(sandbox)],
    ['nobody knows whether its sandbox lives', () => void stage.world.unproven.add(sandbox.netns)],
    ['its interface is gone', () => stage.world.namespaces.get(sandbox.netns)?.links.clear()],
    ['its ADD was not complete', () => makeIncomplete()],
  ])('is not made again when %s', async (_, prepare) => {
    prepare();
    expect(await compare()).toEqual({ restored: 0, takenDown: 0 });
    expect(stage.world.api.all()).toEqual([]);
  });

  it('is not made again while its DEL is between its last two steps', async () => {
    const released = Promise.withResolvers<void>();
    const detaching = stage.worker.locks.hold('c1', async () => {
      await released.promise;
      stage.world.records.clear();
    });
    const comparing = compare();
    released.resolve();
    await detaching;
    expect(await comparing).toEqual({ restored: 0, takenDown: 0 });
    expect(stage.world.api.all()).toEqual([]);
  });

  function makeIncomplete(): void {
    for (const [key, { doneResult: _, ...record }] of stage.world.records) stage.world.records.set(key, record);
  }
});

it('holds the names of this node and boot, whoever asks', async () => {
  await deleteClaim();
  await compare();
  const { machineID, bootID } = node;
  expect(stage.world.api.all()[0]?.spec.holders).toMatchObject([{ node: node.name, machineID, bootID }]);
});
