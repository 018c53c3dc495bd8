import { describe, expect, it } from '@jest/globals';
import { type ClusterSettings, readClusterSettings } from './cluster-settings.ts';

const defaults: ClusterSettings = {
  families: [4, 6],
  namespace: 'orbweaver-system',
  stickyStatefulSets: true,
  stickyVirtualMachines: true,
  subnets: true,
  automaticPools: true,
  automaticPoolSurplus: 1,
  refusesDeletionInUse: false,
  probes: { conflicts: false, gateways: false, timing: { tries: 3, intervalMs: 100, waitMs: 100 } },
  conflictSeconds: 600,
};

function read(environment: Record<string, string>): ClusterSettings {
  const problems: string[] = [];
  const settings = readClusterSettings(environment, problems);
  expect(problems).toEqual([]);
  return settings;
}

describe('the settings of the cluster', () => {
  it('are the defaults of Spiderpool’s chart when nothing is set, or set to nothing', () => {
    expect(read({})).toEqual(defaults);
    expect(read({ ORBWEAVER_ENABLE_IPV6: '', MULTUS_CLUSTER_NETWORK: '' })).toEqual(defaults);
  });

  it('§12.3 #7, #8: the default surplus has one name and one reading for both workers', () => {
    expect(read({ ORBWEAVER_AUTO_POOL_DEFAULT_SURPLUS: '3' }).automaticPoolSurplus).toBe(3);
  });

  it('have no automatic pools without subnets', () => {
    expect(read({ ORBWEAVER_ENABLE_SPIDER_SUBNET: 'false' })).toMatchObject({ subnets: false, automaticPools: false });
    expect(read({ ORBWEAVER_ENABLE_AUTO_POOL: 'false' })).toMatchObject({ subnets: true, automaticPools: false });
  });

  it('name the default network as Spiderpool’s environment does', () => {
    expect(read({ MULTUS_CLUSTER_NETWORK: 'netops/vlan-70' }).defaultNetwork).toBe('netops/vlan-70');
  });

  it('say what is asked of the network before an address is configured', () => {
    expect(
      read({
        ORBWEAVER_ENABLE_IP_CONFLICT_DETECTION: 'true',
        ORBWEAVER_ENABLE_GATEWAY_DETECTION: 'true',
        ORBWEAVER_PROBE_TRIES: '2',
        ORBWEAVER_PROBE_INTERVAL_MS: '50',
        ORBWEAVER_PROBE_TIMEOUT_MS: '200',
        ORBWEAVER_CONFLICT_SECONDS: '60',
      }),
    ).toMatchObject({
      probes: { conflicts: true, gateways: true, timing: { tries: 2, intervalMs: 50, waitMs: 200 } },
      conflictSeconds: 60,
    });
  });

  it('report all problems together', () => {
    const problems: string[] = [];
    readClusterSettings(
      {
        ORBWEAVER_ENABLE_IPV4: 'false',
        ORBWEAVER_ENABLE_IPV6: 'no',
        ORBWEAVER_NAMESPACE: 'a/b',
        MULTUS_CLUSTER_NETWORK: 'vlan-70',
        ORBWEAVER_AUTO_POOL_DEFAULT_SURPLUS: '+1',
        ORBWEAVER_PROBE_TRIES: '0',
        ORBWEAVER_PROBE_INTERVAL_MS: '1001',
      },
      problems,
    );
    expect(problems).toEqual([
      'ORBWEAVER_ENABLE_IPV6 is "no", allowed: true, false',
      'ORBWEAVER_ENABLE_IPV4 and ORBWEAVER_ENABLE_IPV6 are off, allowed: one or both',
      'ORBWEAVER_NAMESPACE is "a/b", allowed: the name of a namespace',
      'MULTUS_CLUSTER_NETWORK is "vlan-70", allowed: namespace/name',
      'ORBWEAVER_AUTO_POOL_DEFAULT_SURPLUS is "+1", allowed: 0 to 999999',
      'ORBWEAVER_PROBE_TRIES is "0", allowed: 1 to 10',
      'ORBWEAVER_PROBE_INTERVAL_MS is "1001", allowed: 1 to 1000',
    ]);
  });
});
