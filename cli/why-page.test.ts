import { describe, expect, it } from '@jest/globals';
import { readClusterSettings } from '../contracts/cluster-settings.ts';
import { readPoolCatalogue } from '../ipam/pool-catalogue.ts';
import type { PoolRequest } from '../ipam/pool-request.ts';
import type { PoolObject } from '../ipam/pool-snapshot.ts';
import { explainSelection } from '../ipam/select-pools.ts';
import { toJSON } from './commands/terminal.ts';
import { plain } from './paint.ts';
import { golden } from './testing/golden.ts';
import { renderWhy, type WhyEvidence, whyPage } from './why-page.ts';

const application = { apiVersion: 'apps/v1', kind: 'Deployment', namespace: 'pay', name: 'api', uid: 'u-1' };
const pool = (name: string, spec: Partial<PoolObject['spec']> = {}): PoolObject => ({
  metadata: { name },
  spec: { subnet: '10.70.8.0/22', ips: ['10.70.8.20-10.70.8.90'], ...spec },
});
const catalogue = readPoolCatalogue(
  [
    pool('rack7-a', { nodeName: ['r7-n2'] }),
    pool('rack7-b'),
    pool('rack7-c', { nodeName: ['r7-n1'] }),
    pool('rack7-d', { disable: true }),
    pool('rack7-e', { multusName: ['netops/vlan80'] }),
    pool('spare', { default: true }),
  ],
  [],
);

function evidence(annotations: Readonly<Record<string, string>>, some: Partial<WhyEvidence> = {}): WhyEvidence {
  const request: PoolRequest = {
    pod: { namespace: 'pay', name: 'api-0', labels: {}, annotations, controller: application },
    namespace: { name: 'pay', labels: {}, annotations: {} },
    node: { name: 'r7-n1', labels: {} },
    ifName: 'eth0',
    network: { defaultIPv4Pools: [], defaultIPv6Pools: [], cleanGateway: false },
    cluster: readClusterSettings({ MULTUS_CLUSTER_NETWORK: 'netops/vlan70' }, []),
  };
  return {
    namespace: 'pay',
    pod: 'api-0',
    interface: 'eth0',
    node: 'r7-n1',
    network: 'netops/vlan70',
    application,
    claims: [],
    warnings: [],
    trace: explainSelection(request, catalogue),
    free: new Map([
      ['rack7-b', 3n],
      ['rack7-c', 0n],
      ['spare', 71n],
    ]),
    ...some,
  };
}
const ippool = (...ipv4: readonly string[]) => ({ 'ipam.spidernet.io/ippool': JSON.stringify({ ipv4 }) });
const show = (some: WhyEvidence): string => renderWhy(whyPage(some), plain, 200);

describe('why a pod gets its pools', () => {
  it('shows every level down to the one that decides, and every filter of every pool', async () => {
    const held = { address: '10.70.8.33/22', pool: 'rack7-b', phase: 'Held' } as const;
    const printed = show(evidence(ippool('rack7-*', 'gone'), { claims: [held] }));
    expect(printed).toBe(await golden('why-selected.txt', printed));
  });

  it('names the order in which pools are tried, the specific one first', () => {
    const { families } = whyPage(evidence(ippool('rack7-*')));
    const places = families.flatMap(({ pools }) => pools.map(({ name, place }) => [name, place]));
    expect(places).toEqual([
      ['rack7-a', undefined],
      ['rack7-b', 2],
      ['rack7-c', 1],
      ['rack7-d', undefined],
      ['rack7-e', undefined],
    ]);
  });

  it('is the same sentence as the failed ADD’s when no pool serves', async () => {
    const printed = show(evidence(ippool('rack7-a', 'rack7-d')));
    expect(printed).toBe(await golden('why-refused.txt', printed));
  });

  it('says what a sticky pod keeps although no pool serves', async () => {
    const kept = {
      address: '10.70.8.33/22',
      pool: 'rack7-d',
      phase: 'Held',
      keptFor: 'StatefulSet/pay/api/0',
    } as const;
    const printed = show(evidence(ippool('rack7-a', 'rack7-d'), { claims: [kept] }));
    expect(printed).toBe(await golden('why-kept.txt', printed));
    const elsewhere = { ...kept, pool: 'spare' };
    expect(whyPage(evidence(ippool('rack7-d'), { claims: [elsewhere] })).keeps).toBeUndefined();
    const machine = { ...elsewhere, keptFor: 'VirtualMachineInstance/pay/vm-1' };
    expect(whyPage(evidence(ippool('rack7-d'), { claims: [machine] })).keeps).toEqual(['10.70.8.33/22']);
  });

  it('falls to the default pools when nothing else names one', async () => {
    const warnings = ['Nobody names the network of eth0'];
    const printed = show(evidence({}, { warnings }));
    expect(printed).toBe(await golden('why-default.txt', printed));
  });

  it('is JSON with the verdict of each filter', () => {
    const json = JSON.parse(toJSON(whyPage(evidence(ippool('rack7-a', 'rack7-b'))))) as {
      families: { pools: { name: string; verdicts: { filter: string; outcome: string }[] }[] }[];
    };
    const [first] = json.families[0]?.pools ?? [];
    expect(first?.name).toBe('rack7-a');
    expect(first?.verdicts.at(-1)).toMatchObject({ filter: 'node', outcome: 'objects' });
  });
});
