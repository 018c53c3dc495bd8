/** A network of pods in its simplest form, of each family. */
export const v4 = { subnet: '10.1.0.0/16' };
export const v6 = { subnet: 'fd00:1::/64' };

/** What is wrong with the network of a pool or a SpiderSubnet, and the whole sentence that says so: field, value, remedy. */
export const networkRefusals: readonly (readonly [
  name: string,
  spec: Readonly<Record<string, unknown>>,
  message: string,
])[] = [
  ['without subnet', {}, 'spec.subnet is missing: write network/prefix length, such as "10.70.8.0/22"'],
  [
    'with a subnet that is none',
    { subnet: '10.1.0.0/33' },
    'spec.subnet "10.1.0.0/33" is not a CIDR: write network/prefix length, such as "10.70.8.0/22"',
  ],
  ['with host bits set', { subnet: '10.1.0.5/16' }, 'spec.subnet "10.1.0.5/16" has host bits set: write "10.1.0.0/16"'],
  [
    'with an IPv6 subnet that is not canonical',
    { subnet: 'fd00:1:0::/64' },
    'spec.subnet "fd00:1:0::/64" is not in canonical form: write "fd00:1::/64"',
  ],
  [
    'with an IPv6 subnet in upper case',
    { subnet: 'FD00:1::/64' },
    'spec.subnet "FD00:1::/64" is not in canonical form: write "fd00:1::/64"',
  ],
  ['with ipVersion 5', { ...v4, ipVersion: 5 }, 'spec.ipVersion 5 is no IP version: write 4 or 6, or leave it out'],
  [
    'with the other ipVersion',
    { ...v4, ipVersion: 6 },
    'spec.ipVersion 6 contradicts spec.subnet "10.1.0.0/16": leave it out: it is derived from the subnet',
  ],
  [
    'with a malformed range',
    { ...v4, ips: ['10.1.0.1', '10.1.0.2-3'] },
    'spec.ips[1] "10.1.0.2-3" is neither an address nor a range start-end: write an address or start-end, such as "10.70.8.20-10.70.8.90"',
  ],
  [
    'with blanks in a range',
    { ...v4, ips: ['10.1.0.1 - 10.1.0.3'] },
    'spec.ips[0] "10.1.0.1 - 10.1.0.3" contains blanks: write "10.1.0.1-10.1.0.3"',
  ],
  [
    'with a CIDR as range',
    { ...v4, ips: ['10.1.2.0/30'] },
    'spec.ips[0] "10.1.2.0/30" has a prefix length: write it as start-end: "10.1.2.0-10.1.2.3"',
  ],
  [
    'with a reversed range',
    { ...v4, ips: ['10.1.0.9-10.1.0.1'] },
    'spec.ips[0] "10.1.0.9-10.1.0.1" ends before it starts: write "10.1.0.1-10.1.0.9"',
  ],
  [
    'with a range of the other family',
    { ...v4, excludeIPs: ['fd00:1::1'] },
    'spec.excludeIPs[0] "fd00:1::1" is not inside spec.subnet "10.1.0.0/16": choose from 10.1.0.0 to 10.1.255.255',
  ],
  [
    'with a range outside its subnet',
    { ...v4, ips: ['10.1.255.250-10.2.0.5'] },
    'spec.ips[0] "10.1.255.250-10.2.0.5" is not inside spec.subnet "10.1.0.0/16": choose from 10.1.0.0 to 10.1.255.255',
  ],
  [
    'with a gateway that is no address',
    { ...v4, gateway: '10.1.0.1/16' },
    'spec.gateway "10.1.0.1/16" is not an address: write one address, without prefix length',
  ],
  [
    'with a gateway outside its subnet',
    { ...v4, gateway: '10.2.0.1' },
    'spec.gateway "10.2.0.1" is not inside spec.subnet "10.1.0.0/16": choose from 10.1.0.0 to 10.1.255.255',
  ],
  [
    'with a gateway inside ips that is not excluded',
    { ...v4, gateway: '10.1.0.1', ips: ['10.1.0.1-10.1.0.9'] },
    'spec.gateway "10.1.0.1" is one of spec.ips, so a pod could get it: take it out of spec.ips, or add it to spec.excludeIPs',
  ],
  [
    'with the default route among its routes',
    { ...v4, routes: [{ dst: '0.0.0.0/0', gw: '10.1.0.1' }] },
    'spec.routes[0].dst "0.0.0.0/0" is the default route: name its next hop in spec.gateway instead',
  ],
  [
    'with the default route in another spelling',
    { ...v6, routes: [{ dst: '0:0::/0', gw: 'fd00:1::1' }] },
    'spec.routes[0].dst "0:0::/0" is the default route: name its next hop in spec.gateway instead',
  ],
  [
    'with two routes to one destination',
    {
      ...v4,
      routes: [
        { dst: '10.64.0.0/10', gw: '10.1.0.1' },
        { dst: '10.64.0.9/10', gw: '10.1.0.2' },
      ],
    },
    'spec.routes[1].dst "10.64.0.9/10" is the destination of an earlier route too: keep one of them',
  ],
  [
    'with a route to no CIDR',
    { ...v4, routes: [{ dst: '10.64.0.0', gw: '10.1.0.1' }] },
    'spec.routes[0].dst "10.64.0.0" is not a CIDR: write network/prefix length, such as "10.64.0.0/10"',
  ],
  [
    'with a route of the other family',
    { ...v4, routes: [{ dst: 'fd00:2::/64', gw: '10.1.0.1' }] },
    'spec.routes[0].dst "fd00:2::/64" is IPv6 and spec.subnet is IPv4: move the route to a pool that is IPv6',
  ],
  [
    'with a next hop outside its subnet',
    { ...v4, routes: [{ dst: '10.64.0.0/10', gw: '10.2.0.1' }] },
    'spec.routes[0].gw "10.2.0.1" is not inside spec.subnet "10.1.0.0/16": choose from 10.1.0.0 to 10.1.255.255',
  ],
];

/** Those that an edit of an object with network `v4` can bring. */
export const networkEditRefusals = networkRefusals.filter(
  ([, spec]) => spec['subnet'] === v4.subnet && !('ipVersion' in spec),
);
