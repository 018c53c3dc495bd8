import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { ApiError } from '../../kube/api-error.ts';
import { holderOf } from '../../kube/testing/claim-fixtures.ts';
import { startApiServer, type TestApiServer } from './api-server.ts';

let server: TestApiServer;
beforeAll(async () => {
  server = await startApiServer();
}, 60_000);
afterAll(() => server?.stop(), 60_000);

const groups: Readonly<Record<string, { readonly path: string; readonly apiVersion: string }>> = {
  SpiderIPPool: {
    path: '/apis/spiderpool.spidernet.io/v2beta1/spiderippools',
    apiVersion: 'spiderpool.spidernet.io/v2beta1',
  },
  SpiderSubnet: {
    path: '/apis/spiderpool.spidernet.io/v2beta1/spidersubnets',
    apiVersion: 'spiderpool.spidernet.io/v2beta1',
  },
  SpiderReservedIP: {
    path: '/apis/spiderpool.spidernet.io/v2beta1/spiderreservedips',
    apiVersion: 'spiderpool.spidernet.io/v2beta1',
  },
  SpiderCoordinator: {
    path: '/apis/spiderpool.spidernet.io/v2beta1/spidercoordinators',
    apiVersion: 'spiderpool.spidernet.io/v2beta1',
  },
  SpiderEndpoint: {
    path: '/apis/spiderpool.spidernet.io/v2beta1/namespaces/default/spiderendpoints',
    apiVersion: 'spiderpool.spidernet.io/v2beta1',
  },
  IPClaim: { path: '/apis/orbweaver.io/v1alpha1/ipclaims', apiVersion: 'orbweaver.io/v1alpha1' },
};

/** Why the API server refuses this object, without writing it; 'admitted' when it does not. */
async function verdict(kind: string, name: string, parts: object): Promise<string> {
  const { path = '', apiVersion } = groups[kind] ?? {};
  const body = { apiVersion, kind, metadata: { name }, ...parts };
  try {
    await server.api.request({
      method: 'POST',
      path,
      query: { dryRun: 'All', fieldValidation: 'Strict' },
      body,
      timeoutMs: 10_000,
    });
    return 'admitted';
  } catch (error) {
    if (error instanceof ApiError && error.status === 422) return error.message;
    throw error;
  }
}

const pool = (spec: object): Promise<string> => verdict('SpiderIPPool', 'p', { spec });
const reserved = (spec: object): Promise<string> => verdict('SpiderReservedIP', 'r', { spec });

describe('SpiderIPPool', () => {
  const v4 = { subnet: '10.70.8.0/22' };
  const v6 = { subnet: 'fd00:70::/64' };

  it.each([
    ['the smallest', v4],
    ['ranges and single addresses', { ...v4, ips: ['10.70.8.20-10.70.8.90', '10.70.9.4'], excludeIPs: ['10.70.8.33'] }],
    ['a reversed range', { ...v4, ips: ['10.70.8.90-10.70.8.20'] }],
    ['a gateway', { ...v4, gateway: '10.70.8.1', ipVersion: 4 }],
    [
      'IPv6 in any spelling but its subnet',
      { ...v6, ips: ['FD00:70:0::1-fd00:70::00ff'], gateway: 'FD00:70:0:0::1', ipVersion: 6 },
    ],
    ['routes', { ...v4, routes: [{ dst: '10.71.0.0/16', gw: '10.70.8.254' }] }],
    ['explicitly no routes', { ...v4, routes: [] }],
    [
      'every affinity',
      {
        ...v4,
        podAffinity: { matchLabels: { app: 'a' } },
        namespaceAffinity: { matchExpressions: [{ key: 'k', operator: 'In', values: ['v'] }] },
        nodeAffinity: { matchExpressions: [{ key: 'k', operator: 'Exists' }] },
        namespaceName: ['a'],
        nodeName: ['r7-n1'],
        multusName: ['kube-system/vlan70', 'vlan71'],
        default: true,
        disable: true,
      },
    ],
    ['5,000 ranges', { ...v6, ips: Array.from({ length: 5000 }, (_, at) => `fd00:70::${(at * 2).toString(16)}`) }],
  ])('is admitted with %s', async (_, spec) => {
    expect(await pool(spec)).toBe('admitted');
  });

  it.each([
    ['no subnet', {}, 'spec.subnet: Required value'],
    ['a subnet that is none', { subnet: '10.70.8.0/33' }, 'spec.subnet'],
    ['a subnet in upper case', { subnet: 'FD00:70::/64' }, 'spec.subnet'],
    ['ipVersion 5', { ...v4, ipVersion: 5 }, 'supported values: "4", "6"'],
    ['the other ipVersion', { ...v4, ipVersion: 6 }, 'ipVersion must be the family of subnet'],
    ['a gateway that is no address', { ...v4, gateway: '10.70.8' }, 'spec.gateway'],
    ['a gateway of the other family', { ...v4, gateway: 'fd00:70::1' }, 'gateway must be of the family of subnet'],
    ['a CIDR among the ranges', { ...v4, ips: ['10.70.8.0/24'] }, 'spec.ips[0]'],
    ['a blank in a range', { ...v4, ips: ['10.70.8.1 - 10.70.8.9'] }, 'spec.ips[0]'],
    ['two dashes in a range', { ...v4, ips: ['10.70.8.1-10.70.8.2-10.70.8.3'] }, 'spec.ips[0]'],
    ['a range of the other family', { ...v4, ips: ['fd00:70::1'] }, 'ips must be of the family of subnet'],
    ['a range of two families', { ...v4, excludeIPs: ['10.70.8.1-fd00:70::1'] }, 'spec.excludeIPs[0]'],
    ['a route without gw', { ...v4, routes: [{ dst: '10.71.0.0/16' }] }, 'spec.routes[0].gw: Required value'],
    ['a route to no CIDR', { ...v4, routes: [{ dst: '10.71.0.0', gw: '10.70.8.1' }] }, 'spec.routes[0].dst'],
    [
      'a route of the other family',
      { ...v4, routes: [{ dst: 'fd00:71::/64', gw: 'fd00:70::1' }] },
      'routes must be of the family of subnet',
    ],
  ])('is refused with %s', async (_, spec, why) => {
    expect(await pool(spec)).toContain(why);
  });

  it('has Spiderpool’s short name, defaults, columns and status subresource, and a subnet that never changes', async () => {
    const path = groups['SpiderIPPool']?.path ?? '';
    const body = {
      apiVersion: groups['SpiderIPPool']?.apiVersion,
      kind: 'SpiderIPPool',
      metadata: { name: 'rack7-v4' },
      spec: {
        ...v4,
        ipVersion: 4,
        nodeName: ['r7-n1', 'r7-n2'],
        podAffinity: { matchLabels: { 'ipam.spidernet.io/app-namespace': 'pay' } },
      },
      status: { allocatedIPCount: 7 },
    };
    const created = await server.api.request<typeof body>({ method: 'POST', path, body, timeoutMs: 10_000 });
    expect(created.spec).toMatchObject({ default: false, disable: false });
    expect(created.status).toBeUndefined();

    const withStatus = { ...created, status: { allocatedIPCount: 1, totalIPCount: 71, allocatedIPs: '{}' } };
    await server.api.request({ method: 'PUT', path: `${path}/rack7-v4/status`, body: withStatus, timeoutMs: 10_000 });
    const [header = '', row = ''] = (await server.kubectl('get', 'sp', '-o', 'wide')).split('\n');
    expect(header.split(/ {2,}/)).toEqual([
      'NAME',
      'VERSION',
      'SUBNET',
      'ALLOCATED-IP-COUNT',
      'TOTAL-IP-COUNT',
      'DEFAULT',
      'DISABLE',
      'NODENAME',
      'MULTUSNAME',
      'APP-NAMESPACE',
    ]);
    expect(row.split(/ {2,}/)).toEqual([
      'rack7-v4',
      '4',
      '10.70.8.0/22',
      '1',
      '71',
      'false',
      'false',
      '["r7-n1","r7-n2"]',
      'pay',
    ]);
    expect(await server.kubectl('get', 'spiderpool', '-o', 'name')).toContain(
      'spiderippool.spiderpool.spidernet.io/rack7-v4',
    );

    await expect(
      server.kubectl('patch', 'sp', 'rack7-v4', '--type=merge', '-p', '{"spec":{"subnet":"10.70.12.0/22"}}'),
    ).rejects.toThrow('subnet cannot be changed');
  });
});

describe('SpiderCoordinator', () => {
  const coordinator = (spec: object): Promise<string> => verdict('SpiderCoordinator', 'c', { spec });

  it('is admitted with every field that Spiderpool has', async () => {
    const settings = {
      mode: 'auto',
      podCIDRType: 'cluster',
      hijackCIDR: ['169.254.0.0/16'],
      policyRoutes: [{ dst: '10.65.0.0/16', gw: '10.70.8.1' }],
      podMACPrefix: '0a:1b',
      tunePodRoutes: true,
      podDefaultRouteNIC: 'net1',
      podDefaultCniNic: 'eth0',
      vethLinkAddress: '169.254.200.1',
      vethMTU: 1500,
      txQueueLen: 0,
      hostRuleTable: 500,
      podRPFilter: -1,
    };
    const past = { hostRPFilter: 0, detectGateway: false, detectIPConflict: false, detectOptions: { retry: 3 } };
    expect(await coordinator({ ...settings, ...past })).toBe('admitted');
  });

  it.each([
    ['a mode that is none', { mode: 'disable' }, 'supported values: "auto", "underlay", "overlay", "disabled"'],
    ['a network that we do not know', { podCIDRType: 'weave' }, 'spec.podCIDRType: Unsupported value'],
    ['an MTU of nothing', { vethMTU: 0 }, 'spec.vethMTU in body should be greater than or equal to 68'],
    ['rp_filter 3', { podRPFilter: 3 }, 'spec.podRPFilter in body should be less than or equal to 2'],
    ['a route to nowhere', { policyRoutes: [{ gw: '10.70.8.1' }] }, 'spec.policyRoutes[0].dst: Required value'],
  ])('is refused with %s', async (_, spec, why) => {
    expect(await coordinator(spec)).toContain(why);
  });
});

describe('SpiderSubnet', () => {
  const subnet = (spec: object): Promise<string> => verdict('SpiderSubnet', 's', { spec });
  const v4 = { subnet: '10.80.8.0/22' };

  it.each([
    ['the smallest', v4],
    [
      'ranges and a gateway',
      { ...v4, ips: ['10.80.8.20-10.80.8.90'], excludeIPs: ['10.80.8.33'], gateway: '10.80.8.1' },
    ],
    ['routes', { ...v4, ipVersion: 4, routes: [{ dst: '10.71.0.0/16', gw: '10.80.8.254' }] }],
    ['IPv6', { subnet: 'fd00:80::/64', ipVersion: 6, ips: ['fd00:80::1-fd00:80::ffff'] }],
  ])('is admitted with %s', async (_, spec) => {
    expect(await subnet(spec)).toBe('admitted');
  });

  it.each([
    ['no subnet', {}, 'spec.subnet: Required value'],
    ['a subnet that is none', { subnet: '10.80.8.0/33' }, 'spec.subnet'],
    ['the other ipVersion', { ...v4, ipVersion: 6 }, 'ipVersion must be the family of subnet'],
    ['a CIDR among the ranges', { ...v4, ips: ['10.80.8.0/24'] }, 'spec.ips[0]'],
    ['a gateway of the other family', { ...v4, gateway: 'fd00:80::1' }, 'gateway must be of the family of subnet'],
  ])('is refused with %s', async (_, spec, why) => {
    expect(await subnet(spec)).toContain(why);
  });

  it('has Spiderpool’s short name, columns and status subresource, and a subnet that never changes', async () => {
    const { path = '', apiVersion } = groups['SpiderSubnet'] ?? {};
    const body = { apiVersion, kind: 'SpiderSubnet', metadata: { name: 'rack8' }, spec: { ...v4, ipVersion: 4 } };
    const created = await server.api.request<typeof body>({ method: 'POST', path, body, timeoutMs: 10_000 });
    const controlledIPPools = '{"auto4-web":{"ips":["10.80.8.20"],"application":"apps_v1_Deployment_pay_web"}}';
    const withStatus = { ...created, status: { controlledIPPools, totalIPCount: 71, allocatedIPCount: 1 } };
    await server.api.request({ method: 'PUT', path: `${path}/rack8/status`, body: withStatus, timeoutMs: 10_000 });
    const rows = (await server.kubectl('get', 'ss')).trim().split('\n');
    expect(rows.map((row) => row.split(/ {2,}/))).toEqual([
      ['NAME', 'VERSION', 'SUBNET', 'ALLOCATED-IP-COUNT', 'TOTAL-IP-COUNT'],
      ['rack8', '4', '10.80.8.0/22', '1', '71'],
    ]);
    await expect(
      server.kubectl('patch', 'ss', 'rack8', '--type=merge', '-p', '{"spec":{"subnet":"10.80.12.0/22"}}'),
    ).rejects.toThrow('subnet cannot be changed');
  });
});

describe('SpiderReservedIP', () => {
  it.each([
    ['addresses alone', { ips: ['10.70.8.1', '10.70.9.1-10.70.9.9'] }],
    ['no addresses but a family', { ipVersion: 6, ips: [] }],
    ['both', { ipVersion: 6, ips: ['fd00:70::1-fd00:70::f'] }],
  ])('is admitted with %s', async (_, spec) => {
    expect(await reserved(spec)).toBe('admitted');
  });

  it.each([
    ['neither addresses nor a family', {}, 'without ips, ipVersion must say the family'],
    ['an address that is none', { ips: ['10.70.8'] }, 'spec.ips[0]'],
    ['an address of the other family', { ipVersion: 4, ips: ['fd00:70::1'] }, 'ips must be of the family ipVersion'],
  ])('is refused with %s', async (_, spec, why) => {
    expect(await reserved(spec)).toContain(why);
  });
});

describe('SpiderEndpoint', () => {
  it('holds its status as a plain field and shows its first interface', async () => {
    const { path = '', apiVersion } = groups['SpiderEndpoint'] ?? {};
    const nic = {
      interface: 'eth0',
      ipv4: '10.70.8.20/22',
      ipv4Pool: 'rack7-v4',
      ipv6: 'fd00:70::20/64',
      ipv6Pool: 'rack7-v6',
      routes: [],
    };
    const body = {
      apiVersion,
      kind: 'SpiderEndpoint',
      metadata: { name: 'api-0' },
      status: {
        current: { uid: 'u', node: 'r7-n1', ips: [nic] },
        ownerControllerType: 'Pod',
        ownerControllerName: 'api-0',
      },
    };
    await server.api.request({ method: 'POST', path, query: { fieldValidation: 'Strict' }, body, timeoutMs: 10_000 });
    const rows = (await server.kubectl('get', 'se'))
      .trim()
      .split('\n')
      .map((row) => row.split(/ {2,}/));
    expect(rows).toEqual([
      ['NAME', 'INTERFACE', 'IPV4POOL', 'IPV4', 'IPV6POOL', 'IPV6', 'NODE'],
      ['api-0', 'eth0', 'rack7-v4', '10.70.8.20/22', 'rack7-v6', 'fd00:70::20/64', 'r7-n1'],
    ]);
  });
});

describe('IPClaim', () => {
  const holder = holderOf();
  const spec = { address: '10.70.8.20/22', pool: 'rack7-v4', phase: 'Bound', holders: [holder] };
  const until = '2026-11-21T12:00:00Z';
  const v6Name = 'fd00-0070-0000-0000-0000-0000-0000-0020';

  it.each([
    ['an IPv4 address', '10.70.8.20', spec],
    ['an IPv6 address', v6Name, { ...spec, address: 'fd00:70::20/64' }],
    ['a phase with an end', '10.70.8.20', { ...spec, phase: 'Suspect', until }],
    [
      'an identity, kept and unproven',
      '10.70.8.20',
      { ...spec, phase: 'Held', identity: 'StatefulSet/pay/api/0', kept: true, unproven: true },
    ],
    ['two holders', '10.70.8.20', { ...spec, holders: [holder, { ...holder, node: 'r7-n2' }] }],
  ])('is admitted for %s', async (_, name, of) => {
    expect(await verdict('IPClaim', name, { spec: of })).toBe('admitted');
  });

  it.each([
    ['a name that is no address', 'api-0', spec, 'metadata.name'],
    ['a shortened IPv6 name', 'fd00-70--20', { ...spec, address: 'fd00:70::20/64' }, 'metadata.name'],
    ['another address than its name', '10.70.8.2', spec, 'a claim is named for its address'],
    ['an IPv4 address under an IPv6 name', v6Name, spec, 'a claim is named for its address'],
    ['no holder', '10.70.8.20', { ...spec, holders: [] }, 'spec.holders'],
    [
      'a holder without a container ID',
      '10.70.8.20',
      { ...spec, holders: [{ ...holder, containerID: '' }] },
      'containerID',
    ],
    ['an unknown phase', '10.70.8.20', { ...spec, phase: 'Free' }, 'spec.phase'],
    ['an end that its phase has not', '10.70.8.20', { ...spec, until }, 'until belongs to'],
    ['no end where its phase has one', '10.70.8.20', { ...spec, phase: 'Cooling' }, 'until belongs to'],
  ])('is refused with %s', async (_, name, of, why) => {
    expect(await verdict('IPClaim', name, { spec: of })).toContain(why);
  });
});
