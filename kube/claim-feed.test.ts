import { describe, expect, it } from '@jest/globals';
import type { IPClaim, IPClaimSpec } from '../contracts/crds/ipclaim.ts';
import type { ApiClient } from './api-client.ts';
import { ClaimFeed, type Concerned } from './claim-feed.ts';
import { holderOf, silent } from './testing/claim-fixtures.ts';

const claim = (name: string, spec: Partial<IPClaimSpec> = {}): IPClaim => ({
  apiVersion: 'orbweaver.io/v1alpha1',
  kind: 'IPClaim',
  metadata: { name, resourceVersion: '8', creationTimestamp: '2026-11-21T10:00:00Z' },
  spec: { address: `${name}/22`, pool: 'rack7-v4', phase: 'Bound', holders: [holderOf()], ...spec },
});

/** A feed that has these claims, and then hears of these. */
async function feedOf(
  items: readonly IPClaim[],
  events: readonly object[] = [],
  listener: (concerned: Concerned) => void = () => undefined,
): Promise<ClaimFeed> {
  const api: ApiClient = {
    request: async <Answer>() => ({ metadata: { resourceVersion: '7' }, items }) as Answer,
    async *watch<Event>({ signal }: { signal: AbortSignal }): AsyncIterable<Event> {
      yield* events as Event[];
      await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
    },
    close: async () => undefined,
  };
  const feed = new ClaimFeed({ api, log: silent });
  const unsubscribe = feed.subscribe(listener);
  const stopped = new AbortController();
  const following = feed.follow(stopped.signal);
  await feed.refresh();
  await new Promise(setImmediate);
  unsubscribe();
  stopped.abort();
  await following;
  return feed;
}

describe('claims that are followed', () => {
  it('show what a list of names would: the first holder, and what the address sticks to', async () => {
    const identity = 'StatefulSet/pay/api/0';
    const feed = await feedOf([
      claim('10.70.8.20'),
      claim('10.70.8.21', { phase: 'Held', identity, holders: [holderOf(), holderOf({ pod: 'another' })] }),
    ]);
    const pod = { namespace: 'pay', name: 'api-0', uid: 'uid-0' };
    const alike = { pool: 'rack7-v4', node: 'r7-n1', pod, containerID: 'c1' };
    expect(feed.names()).toEqual([
      { name: '10.70.8.20', phase: 'Bound', identity: '', ...alike },
      { name: '10.70.8.21', phase: 'Held', identity, ...alike },
    ]);
  });

  it("name a machine's own pod to who looks for pods, and the machine to who publishes", async () => {
    const identity = 'VirtualMachineInstance/pay/vm-1';
    const holders = [holderOf({ pod: 'virt-launcher-vm-1-x7k2p' })];
    const feed = await feedOf([claim('10.70.8.20', { identity, holders })]);
    expect(feed.names().map(({ pod }) => pod.name)).toEqual(['virt-launcher-vm-1-x7k2p']);
    expect(feed.ofPod('pay/vm-1')).toHaveLength(1);
  });

  it('are those of an IPAMClaim until they stick to it no more', async () => {
    const identity = 'IPAMClaim/pay/vm-1.net1';
    const told: string[] = [];
    const events = [{ type: 'MODIFIED', object: claim('10.70.8.20') }];
    const feed = await feedOf(
      [claim('10.70.8.20', { identity }), claim('10.70.8.21', { identity })],
      events,
      ({ ipamClaims }) => told.push(ipamClaims.join()),
    );
    expect(feed.ofIPAMClaim('pay/vm-1.net1').map(({ address }) => address)).toEqual(['10.70.8.21/22']);
    expect([...feed.ipamClaims()]).toEqual(['pay/vm-1.net1']);
    expect(told).toEqual(['pay/vm-1.net1', 'pay/vm-1.net1', 'pay/vm-1.net1']);
  });

  it('tell those who listen whom each change concerns, and nobody else', async () => {
    const told: string[] = [];
    const moved = claim('10.70.8.20', { pool: 'rack8-v4', holders: [holderOf({ pod: 'api-1' })] });
    await feedOf([claim('10.70.8.20')], [{ type: 'MODIFIED', object: moved }], ({ pools, pods }) =>
      told.push(`${pools.join()} ${pods.join()}`),
    );
    expect(told).toEqual(['rack7-v4 pay/api-0', 'rack7-v4,rack8-v4 pay/api-0,pay/api-1']);
  });
});
