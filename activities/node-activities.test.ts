import { describe, expect, it } from '@jest/globals';
import { ProvisionError } from '../contracts/failures.ts';
import type { NodeActivities } from '../contracts/node-activities.ts';
import { OpenCalls } from '../workers/node/open-calls.ts';
import { SandboxLocks } from '../workers/node/sandbox-locks.ts';
import { addRequest, claimed, detachRequest, NodeModel } from '../workflows/testing/node-model.ts';
import { createNodeActivities } from './node-activities.ts';

const request = addRequest();
const detach = detachRequest(request);
const undo = { ...detach, nonce: request.nonce, reason: 'failed-add' } as const;

function open(change: Partial<NodeActivities> = {}) {
  const model = new NodeModel();
  const steps: NodeActivities = {
    prepareLinks: (add) => model.prepareLinks(add),
    claimAddresses: (add) => model.claimAddresses(add),
    plumbLink: (add, addresses) => model.plumbLink(add, addresses),
    lendRdma: (add) => model.lendRdma(add),
    coordinate: (add, made) => model.coordinate(add, made),
    removeLink: (gone) => model.removeLink(gone),
    releaseAddresses: (gone) => model.releaseAddresses(gone),
    answerFailure: (nonce, failure) => Promise.resolve(calls.fail(nonce, failure)),
    ...change,
  };
  const [locks, calls] = [new SandboxLocks(), new OpenCalls()];
  return { model, locks, calls, activities: createNodeActivities(steps, locks, calls) };
}

describe('a step of a run', () => {
  it('joins an execution of itself that still goes on: a workflow task that timed out runs its activities again', async () => {
    const { model, activities } = open();
    const gate = Promise.withResolvers<void>();
    model.pauseIn = () => gate.promise;
    const both = [activities.claimAddresses(request), activities.claimAddresses(request)];
    gate.resolve();
    expect(await Promise.all(both)).toEqual([[claimed], [claimed]]);
    expect(model.calls).toEqual(['claimAddresses eth0']);
  });

  it('joins its failure too, and is done anew afterwards', async () => {
    let times = 0;
    const failing = async () => {
      times += 1;
      throw new Error('refused');
    };
    const { activities } = open({ claimAddresses: failing });
    const both = await Promise.allSettled([activities.claimAddresses(request), activities.claimAddresses(request)]);
    expect(both.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    await expect(activities.claimAddresses(request)).rejects.toThrow('refused');
    expect(times).toBe(2);
  });

  it('joins no other sandbox, interface or step', async () => {
    const { model, activities } = open();
    await Promise.all([
      activities.claimAddresses(request),
      activities.claimAddresses(addRequest('net1')),
      activities.claimAddresses(addRequest('eth0', undefined, 'another')),
      activities.plumbLink(request, [claimed]),
    ]);
    expect(model.calls.toSorted()).toEqual([
      'claimAddresses eth0',
      'claimAddresses eth0',
      'claimAddresses net1',
      'plumbLink eth0',
    ]);
  });

  it('waits for whoever works on its sandbox', async () => {
    const { model, locks, activities } = open();
    const gate = Promise.withResolvers<void>();
    const other = locks.hold(request.attachment.containerID, () => gate.promise);
    const claiming = activities.claimAddresses(request);
    await Promise.resolve();
    expect(model.calls).toEqual([]);
    gate.resolve();
    await Promise.all([other, claiming]);
    expect(model.calls).toEqual(['claimAddresses eth0']);
  });

  it('is superseded when its call was taken over, also while it waited for the lock', async () => {
    const { model, locks, calls, activities } = open();
    const call = calls.open(detach.nonce, 'DEL', detach.attachment);
    const gate = Promise.withResolvers<void>();
    const other = locks.hold(detach.attachment.containerID, () => gate.promise);
    const removing = activities.removeLink(detach);
    call.takeOver();
    gate.resolve();
    await other;
    await expect(removing).rejects.toMatchObject({ type: 'Superseded' });
    await expect(activities.releaseAddresses(detach)).rejects.toMatchObject({ type: 'Superseded' });
    expect(model.calls).toEqual([]);
  });
});

describe('the caller of an ADD that failed', () => {
  const failure = new ProvisionError({ type: 'KernelRefused', message: 'no such device' });
  const failing = () => Promise.reject(failure);

  it('is told after everything is undone', async () => {
    const { calls, activities } = open({ plumbLink: failing });
    const call = calls.open(request.nonce, 'ADD', request.attachment);
    await activities.claimAddresses(request);
    await activities.plumbLink(request, [claimed]).catch(() => undefined);
    await activities.removeLink(undo);
    await activities.releaseAddresses(undo);
    const early = await Promise.race([call.outcome, Promise.resolve('not yet')]);
    expect(early).toBe('not yet');
    await activities.answerFailure(request.nonce, { type: 'KernelRefused', message: 'no such device' });
    await expect(call.outcome).rejects.toThrow('no such device');
  });

  it('is told the first reason when an undo has to wait for the world', async () => {
    const { calls, activities } = open({
      plumbLink: failing,
      releaseAddresses: () => Promise.reject(new ProvisionError({ type: 'ApiServerUnavailable', message: 'away' })),
    });
    const call = calls.open(request.nonce, 'ADD', request.attachment);
    await activities.claimAddresses(request);
    await activities.plumbLink(request, [claimed]).catch(() => undefined);
    await activities.removeLink(undo);
    await expect(activities.releaseAddresses(undo)).rejects.toThrow('away');
    await expect(call.outcome).rejects.toMatchObject({ type: 'KernelRefused', message: 'no such device' });
  });

  it('hears nothing of an undo that fails in a DEL', async () => {
    const { calls, activities } = open({ removeLink: failing });
    const call = calls.open(detach.nonce, 'DEL', detach.attachment);
    await expect(activities.removeLink(detach)).rejects.toThrow('no such device');
    expect(await Promise.race([call.outcome, Promise.resolve('not yet')])).toBe('not yet');
  });
});
