import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { deployment, underlayPool } from '../../deploy/dev/cluster.ts';
import { eventually } from '../../deploy/dev/eventually.ts';
import type { CallOptions } from '../../deploy/dev/hand-made-sandbox.ts';
import { keepOnScaleDownAnnotation } from '../../ipam/identity-end.ts';
import { ippoolAnnotation } from '../../ipam/pool-annotation.ts';
import { detectionAnnotation } from '../../ipam/pool-detection.ts';
import { violationsOf } from './invariants.ts';
import { RunningPods, sleepingContainer } from './running-pods.ts';
import { TestCluster } from './test-cluster.ts';

let cluster: TestCluster;
let outsideMac: string;
beforeAll(async () => {
  cluster = await TestCluster.start({
    nodes: ['node-a'],
    // Long enough to be looked at: a sweep may come at any moment and ends what is over.
    clusterSettings: { ORBWEAVER_ENABLE_IP_CONFLICT_DETECTION: 'true', ORBWEAVER_CONFLICT_SECONDS: '5' },
  });
  const pool = (name: string, ips: string, spec: object = {}): object =>
    underlayPool(name, 4, [ips], { default: false, ...spec });
  await cluster.stack.apply(
    pool('both-in-use', '10.70.9.1-10.70.9.2'),
    pool('no-gateway', '10.70.9.11-10.70.9.12', { gateway: '10.70.0.9' }),
    pool('gateway', '10.70.9.21-10.70.9.22'),
    pool('deployment', '10.70.10.1-10.70.10.4'),
    pool('statefulset', '10.70.10.11-10.70.10.12'),
    pool('chained', '10.70.11.1-10.70.11.3'),
    pool('suspect', '10.70.11.11'),
    underlayPool('suspect-v6', 6, ['fd00:70::b:1'], { default: false }),
    saying({ detectIPConflict: false, detectGateway: true, detectOptions: { retries: 2 } }, 'says', '10.70.9.31'),
  );
  const [link] = JSON.parse(await cluster.stack.outside.exec(['ip', '-j', 'link', 'show', 'eth0'])) as [
    { address: string },
  ];
  outsideMac = link.address;
}, 300_000);
afterAll(() => cluster?.stop(), 60_000);
afterEach(async () => {
  await cluster.removeSandboxes();
  await cluster.stack.outside.exec(['sh', '-c', 'for a in $0; do ip addr del $a dev eth0; done', inUse.join(' ')]);
  inUse.length = 0;
  await eventually('Claims and interfaces agree', 30, async () => {
    const violations = violationsOf(await cluster.state());
    return violations.length === 0 ? { value: true } : { state: violations.join('\n') };
  });
}, 60_000);

/** A pool that says in its annotation what is asked about its addresses. */
const saying = (detection: object, name: string, ips: string): object => ({
  ...underlayPool(name, 4, [ips], { default: false, gateway: '10.70.0.9' }),
  metadata: { name, annotations: { [detectionAnnotation]: JSON.stringify(detection) } },
});
const from = (pool: string): Record<string, string> => ({ [ippoolAnnotation]: JSON.stringify({ ipv4: [pool] }) });
const inUse: string[] = [];

/** The machine without Kubernetes takes addresses for itself, as somebody with a keyboard does. */
async function takeOutside(...addresses: readonly string[]): Promise<void> {
  for (const address of addresses) {
    const prefix = address.includes(':') ? `${address}/64` : `${address}/16`;
    const nodad = address.includes(':') ? ['nodad'] : [];
    await cluster.stack.outside.exec(['ip', 'addr', 'add', prefix, 'dev', 'eth0', ...nodad]);
    inUse.push(prefix);
  }
}

async function leaveOutside(): Promise<void> {
  for (const prefix of inUse.splice(0)) await cluster.stack.outside.exec(['ip', 'addr', 'del', prefix, 'dev', 'eth0']);
}

const phasesIn = async (...addresses: readonly string[]): Promise<readonly string[]> =>
  (await cluster.claims())
    .filter(({ metadata }) => addresses.includes(metadata.name))
    .map(({ metadata, spec }) => `${metadata.name} ${spec.phase}`)
    .toSorted();

describe('an address that a machine outside has', () => {
  it('C00007: is found, told with its MAC, and free again when its time is over', async () => {
    await takeOutside('10.70.9.1', '10.70.9.2');
    const sandbox = await cluster.sandbox('both-in-use', from('both-in-use'));
    const { body } = await sandbox.add();
    expect(body).toMatchObject({ code: 11, details: 'PoolExhausted' });
    for (const address of ['10.70.9.1', '10.70.9.2']) expect(body?.msg).toContain(`${address} (${outsideMac})`);
    expect(await phasesIn('10.70.9.1', '10.70.9.2')).toEqual(['10.70.9.1 Conflicted', '10.70.9.2 Conflicted']);
    expect(await sandbox.look()).not.toContain('eth0');

    await leaveOutside();
    await eventually('The control worker ends both claims', 90, async () => {
      const left = await phasesIn('10.70.9.1', '10.70.9.2');
      return left.length === 0 ? { value: true } : { state: left.join() };
    });
    expect((await sandbox.add()).exitCode).toBe(0);
  }, 120_000);

  it('is not given to the pod of a macvlan whose IPAM we are', async () => {
    await takeOutside('10.70.11.1', '10.70.11.2');
    const sandbox = await cluster.sandbox('chained', from('chained'));
    const macvlan = { cniVersion: '1.0.0', name: 'chained', type: 'macvlan', master: 'underlay0', mode: 'bridge' };
    const call: CallOptions = {
      plugin: 'macvlan',
      stdin: JSON.stringify({ ...macvlan, ipam: { type: 'spiderpool' } }),
    };
    const { body } = await sandbox.add(call);
    expect(body?.ips).toMatchObject([{ address: '10.70.11.3/16' }]);
    await sandbox.exec(['busybox', 'ping', '-c', '1', '-W', '5', '10.70.255.2']);
    expect(await sandbox.del(call)).toMatchObject({ exitCode: 0 });
  }, 60_000);
});

describe('a gateway', () => {
  const asking: CallOptions = { conf: { detectGateway: true } };

  it('C00009: that does not answer fails the ADD, and nothing is left', async () => {
    const sandbox = await cluster.sandbox('no-gateway', from('no-gateway'));
    const { body } = await sandbox.add(asking);
    expect(body).toMatchObject({ code: 11, details: 'GatewayUnreachable' });
    expect(body?.msg).toContain('its gateway 10.70.0.9 does not answer (asked 3 times)');
    expect(await phasesIn('10.70.9.11', '10.70.9.12')).toEqual([]);
    expect(await sandbox.look()).not.toContain('eth0');
  }, 60_000);

  it('C00009: that answers is no obstacle', async () => {
    const sandbox = await cluster.sandbox('gateway', from('gateway'));
    expect((await sandbox.add(asking)).exitCode).toBe(0);
  }, 60_000);
});

describe('a pool that says what is asked about its addresses', () => {
  it('is believed before network and cluster: one gateway is asked for twice, and no address', async () => {
    await takeOutside('10.70.9.31');
    const sandbox = await cluster.sandbox('says', from('says'));
    const { body } = await sandbox.add({ conf: { detectIPConflict: true, detectGateway: false } });
    expect(body).toMatchObject({ code: 11, details: 'GatewayUnreachable' });
    expect(body?.msg).toContain('its gateway 10.70.0.9 does not answer (asked 2 times)');

    await cluster.stack.kubectl('annotate', 'spiderippool', 'says', `${detectionAnnotation}-`);
    await eventually('The node has read the pool again', 30, async () => {
      const { body: answer } = await sandbox.add({ conf: { detectOptions: { retries: 1 } } });
      return answer?.details === 'PoolExhausted' ? { value: true } : { state: JSON.stringify(answer) };
    });
    expect(await phasesIn('10.70.9.31')).toEqual(['10.70.9.31 Conflicted']);
  }, 60_000);

  it('is refused where it says what cannot be meant', async () => {
    const wrong = saying({ detectOptions: { retries: 99 } }, 'wrong', '10.70.9.32');
    await expect(cluster.stack.apply(wrong)).rejects.toThrow(
      `metadata.annotations["${detectionAnnotation}"] "{"detectOptions":{"retries":99}}" has detectOptions.retries 99: allowed is 1 to 10 tries`,
    );
  });
});

describe('a Suspect address', () => {
  it('is the last one to be given, and only when its last owner is silent', async () => {
    const [v4, v6] = ['10.70.11.11', 'fd00-0070-0000-0000-0000-0000-000b-0001'];
    const pools = (families: object) => ({ [ippoolAnnotation]: JSON.stringify(families) });
    const call: CallOptions = { conf: { detectIPConflict: false } }; // it is asked about whatever the settings say
    const owner = await cluster.sandbox('owner', pools({ ipv4: ['suspect'], ipv6: ['suspect-v6'] }));
    expect((await owner.add(call)).exitCode).toBe(0);
    await owner.exec(['ip', 'link', 'del', 'eth0']);
    const suspect = JSON.stringify({ spec: { phase: 'Suspect', until: '9999-12-31T23:59:59Z' } });
    for (const name of [v4, v6]) await cluster.stack.kubectl('patch', 'ipclaim', name, '--type=merge', '-p', suspect);

    await takeOutside(v4);
    const { body } = await (await cluster.sandbox('refused', pools({ ipv4: ['suspect'] }))).add(call);
    expect(body).toMatchObject({ details: 'PoolExhausted' });
    expect(body?.msg).toContain(`10.70.11.11 (${outsideMac})`);
    expect((await (await cluster.sandbox('served', pools({ ipv6: ['suspect-v6'] }))).add(call)).exitCode).toBe(0);
    expect(await phasesIn(v4, v6)).toEqual([`${v4} Conflicted`, `${v6} Bound`]);
  }, 120_000);
});

describe('pods that kubelet runs', () => {
  it('C00018: a Deployment runs on the addresses that are not in use', async () => {
    await takeOutside('10.70.10.1', '10.70.10.2');
    await cluster.stack.apply(deployment('free', 2, from('deployment')));
    const pods = await new RunningPods(cluster).ofApp('free', 2);
    const addresses = pods.flatMap(({ nics }) => nics.map(({ address }) => address));
    expect(addresses.toSorted()).toEqual(['10.70.10.3', '10.70.10.4']);
    await cluster.stack.kubectl('delete', 'deployment', 'free', '--wait=true');
  }, 120_000);

  it('C00019: a StatefulSet keeps an address that somebody else has, and never runs without it', async () => {
    const statefulSet = (replicas: number): object => ({
      apiVersion: 'apps/v1',
      kind: 'StatefulSet',
      metadata: { name: 'db', namespace: 'default', annotations: { [keepOnScaleDownAnnotation]: 'true' } },
      spec: {
        replicas,
        serviceName: 'db',
        selector: { matchLabels: { app: 'db' } },
        template: {
          metadata: { labels: { app: 'db' }, annotations: from('statefulset') },
          spec: { terminationGracePeriodSeconds: 0, containers: [sleepingContainer('main')] },
        },
      },
    });
    const pods = new RunningPods(cluster);
    await cluster.stack.apply(statefulSet(1));
    const [first] = await pods.ofApp('db', 1);
    const address = first?.nics[0]?.address ?? '';
    await cluster.stack.apply(statefulSet(0));
    await eventually('Its address is held', 30, async () => {
      const found = await phasesIn(address);
      return found.join() === `${address} Held` ? { value: true } : { state: found.join() };
    });
    await takeOutside(address);
    await cluster.stack.apply(statefulSet(1));
    const told = await eventually('An event says why', 60, async () => {
      const events = await cluster.stack.kubectl('get', 'events', '-o', 'jsonpath={.items[*].message}');
      return events.includes('belongs to StatefulSet/default/db/0') ? { value: events } : { state: events };
    });
    expect(told).toContain(`${outsideMac} on the network answers for it`);
    expect(await phasesIn(address)).toEqual([`${address} Held`]);

    await leaveOutside();
    const [second] = await pods.ofApp('db', 1);
    expect(second?.nics[0]?.address).toBe(address);
    await cluster.stack.kubectl('delete', 'statefulset.apps', 'db', '--wait=true');
  }, 240_000);
});
