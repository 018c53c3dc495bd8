import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { ProvisionError } from '../../contracts/failures.ts';
import type { RequestFrame } from '../../contracts/frame.ts';
import { parseCniCall } from './cni-call.ts';
import { parseConf, parseNetworkConf } from './network-conf.ts';
import { chainedConf, cniCall, coordinatorConf, refusal, wholeConf } from './testing/calls-to-cni.ts';

const pod = { namespace: 'pay', name: 'api-0', uid: '9c1f0000-0000-4000-8000-000000000001' };
const attachment = { containerID: '5bc0ffee', network: 'underlay', ifName: 'eth0', kind: 'attach' };
const bytes = (value: unknown) => new TextEncoder().encode(typeof value === 'string' ? value : JSON.stringify(value));
const network = (conf: object) => parseNetworkConf('orbweaver', parseConf(bytes({ ...wholeConf, ...conf })));
const chained = (ipam: unknown) => parseNetworkConf('spiderpool', parseConf(bytes({ ...chainedConf, ipam })));

describe('a call', () => {
  it('of ADD names its attachment, its pod, its namespace and what it asks for', () => {
    expect(parseCniCall(cniCall('ADD'))).toMatchObject({
      command: 'ADD',
      attachment,
      pod,
      netns: '/run/netns/cni-1',
      network: { provides: 'interface', link: { kind: 'macvlan', master: 'bond0', mode: 'bridge' } },
    });
  });

  it('of the IPAM plugin asks for addresses only', () => {
    const call = parseCniCall(cniCall('ADD', { environment: { ORBWEAVER_PLUGIN: 'spiderpool' }, stdin: chainedConf }));
    expect(call).toMatchObject({ command: 'ADD', attachment, network: { provides: 'addresses' } });
    expect(call).not.toHaveProperty('network.link');
  });

  it('of DEL looks at nothing that only an ADD needs: a wrong configuration must not keep a pod from going', () => {
    const stdin = { ...wholeConf, kind: 'no such kind', unknown: true };
    expect(parseCniCall(cniCall('DEL', { stdin }))).toMatchObject({ command: 'DEL', attachment, pod });
  });

  it('of CHECK comes with the result of the ADD, as libcni passes it', () => {
    const prevResult = { cniVersion: '1.0.0', interfaces: [{ name: 'eth0' }], ips: [{ address: '10.70.8.20/22' }] };
    expect(parseCniCall(cniCall('CHECK', { stdin: { ...wholeConf, prevResult } }))).toMatchObject({
      command: 'CHECK',
      attachment,
      netns: '/run/netns/cni-1',
    });
  });

  it.each<[unknown, string | undefined]>([
    [[{ name: 'eth0', mac: '02:00:00:00:00:0A', sandbox: '/run/netns/cni-1' }], '02:00:00:00:00:0a'],
    [[{ name: 'eth0', mac: '02:00:00:00:00:0a' }], undefined], // the node's
    [[null, { name: 'net1', mac: '02:00:00:00:00:0a', sandbox: '/run/netns/cni-1' }], undefined],
    [[{ name: 'eth0', mac: 'unknown', sandbox: '/run/netns/cni-1' }], undefined],
    ['eth0', undefined],
  ])('of CHECK with interfaces %j knows MAC %j', (interfaces, mac) => {
    const call = parseCniCall(cniCall('CHECK', { stdin: { ...wholeConf, prevResult: { interfaces } } }));
    expect('mac' in call ? call.mac : undefined).toBe(mac);
  });

  it('of DEL may name no pod and no namespace', () => {
    expect(parseCniCall(cniCall('DEL', { environment: { CNI_ARGS: undefined, CNI_NETNS: undefined } }))).toMatchObject({
      pod: { namespace: '', name: '', uid: '' },
      netns: '',
    });
  });

  it('takes the last of a key that Multus passes twice', () => {
    const CNI_ARGS = 'K8S_POD_NAMESPACE=other;K8S_POD_NAME=api-0;K8S_POD_NAMESPACE=pay';
    expect(parseCniCall(cniCall('ADD', { environment: { CNI_ARGS } }))).toMatchObject({
      pod: { namespace: 'pay', uid: '' },
    });
  });

  it.each([
    [[{ containerID: 'c1', ifname: 'eth0' }], [{ containerID: 'c1', ifName: 'eth0' }]],
    [[], []],
  ])('of GC reads the list %j of what stays', (list, valid) => {
    expect(parseCniCall(cniCall('GC', { stdin: { ...wholeConf, 'cni.dev/valid-attachments': list } }))).toMatchObject({
      valid,
    });
    expect(parseCniCall(cniCall('GC', { stdin: { ...wholeConf, 'cni.dev/attachments': list } }))).toMatchObject({
      valid,
    });
  });

  it.each([[{}], ['eth0'], [[null]], [[{ containerID: 'c1' }]], [[7]], [null]])(
    'of GC with the list %j is refused',
    (list) => {
      const stdin = { ...wholeConf, 'cni.dev/valid-attachments': list };
      expect(refusal(() => parseCniCall(cniCall('GC', { stdin }))).type).toBe('InvalidConfig');
    },
  );

  it.each([
    ['CNI_CONTAINERID', '-starts-with-a-dash'],
    ['CNI_CONTAINERID', 'a'.repeat(129)],
    ['CNI_CONTAINERID', '../escape'],
    ['CNI_CONTAINERID', 'a b'],
    ['CNI_IFNAME', '.'],
    ['CNI_IFNAME', '..'],
    ['CNI_IFNAME', 'a/b'],
    ['CNI_IFNAME', 'a:b'],
    ['CNI_IFNAME', 'eth%d'],
    ['CNI_IFNAME', 'a b'],
    ['CNI_IFNAME', 'x'.repeat(16)],
    ['CNI_IFNAME', 'ääääääää'], // 16 bytes
    ['CNI_IFNAME', 'veth0'], // the pod's end of its link to the node
    ['CNI_ARGS', 'K8S_POD_NAMESPACE=pay'],
    ['CNI_ARGS', 'K8S_POD_NAMESPACE=pay;K8S_POD_NAME=Api_0'],
    ['CNI_ARGS', `K8S_POD_NAMESPACE=pay;K8S_POD_NAME=${'a'.repeat(254)}`],
    ['CNI_ARGS', 'K8S_POD_NAMESPACE=pay;K8S_POD_NAME=api-0;K8S_POD_UID=../x'],
    ['CNI_COMMAND', 'add'],
    ['ORBWEAVER_PLUGIN', 'macvlan'],
  ])('with %s=%s is refused, and the message shows it', (key, value) => {
    const { type, message } = refusal(() => parseCniCall(cniCall('ADD', { environment: { [key]: value } })));
    expect(type).toBe('InvalidEnvironment');
    expect(message).toContain(key === 'CNI_ARGS' ? 'CNI_ARGS names no pod' : JSON.stringify(value).slice(0, 100));
  });

  it.each(['x'.repeat(15), 'äääääää', 'eth0.120', 'eth0@if3'])('may name its interface %s', (CNI_IFNAME) => {
    expect(parseCniCall(cniCall('ADD', { environment: { CNI_IFNAME } }))).toMatchObject({
      attachment: { ifName: CNI_IFNAME },
    });
  });
});

describe('a configuration of type orbweaver', () => {
  it.each([
    [{}, { kind: 'macvlan', master: 'bond0', mode: 'bridge' }],
    [{ master: ['bond0'] }, { kind: 'macvlan', master: 'bond0', mode: 'bridge' }],
    [{ mode: 'vepa' }, { kind: 'macvlan', master: 'bond0', mode: 'vepa' }],
    [{ mtu: 9000 }, { kind: 'macvlan', master: 'bond0', mode: 'bridge', mtuBytes: 9000 }],
    [{ mtu: 0 }, { kind: 'macvlan', master: 'bond0', mode: 'bridge' }],
  ])('with %j asks for the link %j', (conf, link) => {
    expect(network(conf).link).toEqual(link);
  });

  it('names its pools and whether the default route is wanted', () => {
    expect(
      network({ default_ipv4_ippool: ['v4', 'spare'], default_ipv6_ippool: ['v6'], clean_gateway: true }),
    ).toMatchObject({
      defaultIPv4Pools: ['v4', 'spare'],
      defaultIPv6Pools: ['v6'],
      cleanGateway: true,
    });
    expect(network({})).toMatchObject({ defaultIPv4Pools: [], defaultIPv6Pools: [], cleanGateway: false });
  });

  it('may hold what runtimes and meta-plugins add', () => {
    const added = {
      'cni.dev/attachments': [],
      runtimeConfig: {},
      capabilities: {},
      args: {},
      disableCheck: true,
      dns: {},
    };
    expect(network(added).provides).toBe('interface');
  });

  it.each([
    [{ kind: undefined }, 'InvalidConfig', 'Key "kind" of the network configuration is missing'],
    [{ kind: 7 }, 'InvalidConfig', 'Key "kind" of the network configuration is 7'],
    [{ kind: 'ipoib' }, 'NotImplemented', 'kind "ipoib" is not supported yet by this version of Orbweaver'],
    [{ coordinator: [] }, 'InvalidConfig', 'Key "coordinator" of the network configuration is []'],
    [{ coordinator: { mode: 'both' } }, 'InvalidConfig', 'Key "mode" of the coordinator\'s configuration is "both"'],
    [{ coordinator: { type: 'coordinator' } }, 'InvalidConfig', 'Key "type" is unknown to the coordinator'],
    [{ coordinator: { spiderCoordinator: 'Rack/7' } }, 'InvalidConfig', 'Key "spiderCoordinator" of the network'],
    [{ master: undefined }, 'InvalidConfig', 'Key "master" of the network configuration is missing'],
    [{ master: [] }, 'InvalidConfig', 'Key "master" of the network configuration is []'],
    [{ master: '' }, 'InvalidConfig', 'Key "master" of the network configuration is ""'],
    [{ master: ['a/b'] }, 'InvalidConfig', 'Key "master" of the network configuration is ["a/b"]'],
    [{ master: [7] }, 'InvalidConfig', 'Key "master" of the network configuration is [7]'],
    [{ mode: 'loud' }, 'InvalidConfig', 'Key "mode" of the network configuration is "loud"'],
    [{ mtu: 67 }, 'InvalidConfig', 'Key "mtu" of the network configuration is 67'],
    [{ mtu: 65_536 }, 'InvalidConfig', 'Key "mtu" of the network configuration is 65536'],
    [{ mtu: '1500' }, 'InvalidConfig', 'Key "mtu" of the network configuration is "1500"'],
    [{ mtu: 1500.5 }, 'InvalidConfig', 'Key "mtu" of the network configuration is 1500.5'],
    [{ clean_gateway: 'yes' }, 'InvalidConfig', 'Key "clean_gateway" of the network configuration is "yes"'],
    [{ default_ipv4_ippool: 'v4' }, 'InvalidConfig', 'Key "default_ipv4_ippool" of the network configuration is "v4"'],
    [{ default_ipv6_ippool: [''] }, 'InvalidConfig', 'Key "default_ipv6_ippool" of the network configuration is [""]'],
    [{ prevResult: {} }, 'InvalidConfig', 'type orbweaver got a prevResult'],
    [{ nonsense: 1 }, 'InvalidConfig', 'Key "nonsense" is unknown to type orbweaver'],
  ])('with %j is refused', (conf, type, message) => {
    const refused = refusal(() => network(conf));
    expect(refused.type).toBe(type);
    expect(refused.message).toContain(message);
    expect(refused.remedy).toBeTruthy();
  });

  it('refuses a key of its prototype as any other that it does not know', () => {
    const conf = parseConf(
      bytes(`{"cniVersion":"1.0.0","name":"underlay","kind":"macvlan","master":"bond0","__proto__":{"mode":"vepa"}}`),
    );
    expect(refusal(() => parseNetworkConf('orbweaver', conf)).message).toContain('"__proto__" is unknown');
  });
});

describe('an IPAM section', () => {
  it('names its pools', () => {
    expect(chained({ type: 'spiderpool', default_ipv4_ippool: ['v4'] })).toEqual({
      provides: 'addresses',
      defaultIPv4Pools: ['v4'],
      defaultIPv6Pools: [],
      cleanGateway: false,
    });
  });

  it('may hold every key that Spiderpool knows, in the shapes of its documents', () => {
    const ipam = {
      type: 'spiderpool',
      default_ipv4_ippool: ['v4', 'spare-*'],
      default_ipv6_ippool: null,
      clean_gateway: true,
      match_master_subnet: false,
      ipam_unix_socket_path: '/var/run/spidernet/spiderpool.sock',
      log_level: 'DEBUG',
      log_file_path: '/var/log/spidernet/spiderpool.log',
      log_file_max_size: '100',
      log_file_max_age: 30,
      log_file_max_count: 7,
    };
    expect(chained(ipam)).toEqual({
      provides: 'addresses',
      defaultIPv4Pools: ['v4', 'spare-*'],
      defaultIPv6Pools: [],
      cleanGateway: true,
    });
  });

  it('that matches the master’s subnet says what makes the interface: only SR-IOV has one', () => {
    expect(chained({ match_master_subnet: true })).toMatchObject({ matchMasterSubnet: true, madeBy: '"macvlan"' });
    expect(network({ match_master_subnet: true })).toMatchObject({ matchMasterSubnet: true, madeBy: '"macvlan"' });
    expect(chained({ match_master_subnet: false })).not.toHaveProperty('matchMasterSubnet');
  });

  it.each([
    [undefined],
    [null],
    ['spiderpool'],
    [[]],
    [{ default_ipv4_ippool: {} }],
    [{ clean_gateway: 1 }],
    [{ match_master_subnet: 'yes' }],
  ])('that is %j is refused', (ipam) => {
    const { type, message } = refusal(() => chained(ipam));
    expect(type).toBe('InvalidConfig');
    expect(message).toMatch(/^Key "ipam/);
  });
});

/** Whatever comes through the socket: a refusal with a code, or a call in which everything was checked. */
describe('two thousand inputs that nobody would write', () => {
  const seeded = { seed: 20_261_121, numRuns: 2000 } as const;
  const outcomeOf = (work: () => unknown): 'read' | 'refused' => {
    try {
      work();
      return 'read';
    } catch (error) {
      expect(error).toBeInstanceOf(ProvisionError);
      return 'refused';
    }
  };
  const keys = fc.constantFrom(
    'cniVersion',
    'name',
    'type',
    'kind',
    'master',
    'mode',
    'mtu',
    'ipam',
    'clean_gateway',
    'default_ipv4_ippool',
    'prevResult',
    'cni.dev/valid-attachments',
    '__proto__',
    'constructor',
    'toString',
    'vlanID',
  );
  const values = fc.oneof(
    fc.jsonValue({ maxDepth: 3 }),
    fc.constantFrom('1.0.0', 'underlay', 'macvlan', 'bond0', 'bridge', ['bond0'], { type: 'spiderpool' }, [], 0, 1500),
  );
  const almostConfs = fc
    .array(fc.tuple(keys, values))
    .map((pairs) => `{${pairs.map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`).join()}}`);
  const stdins = fc.oneof(
    almostConfs.map(bytes),
    fc.jsonValue().map(bytes),
    fc.uint8Array({ maxLength: 200 }),
    fc
      .tuple(fc.constant(JSON.stringify(wholeConf)), fc.nat(100), fc.string({ maxLength: 3 }))
      .map(([text, at, extra]) => bytes(text.slice(0, at) + extra + text.slice(at))),
  );
  const environments = fc.dictionary(
    fc.constantFrom(
      'CNI_COMMAND',
      'CNI_CONTAINERID',
      'CNI_NETNS',
      'CNI_IFNAME',
      'CNI_ARGS',
      'ORBWEAVER_PLUGIN',
      'CNI_PATH',
    ),
    fc.oneof(
      fc.string({ unit: 'binary', maxLength: 40 }),
      fc.constantFrom(
        'ADD',
        'DEL',
        'CHECK',
        'GC',
        'STATUS',
        'orbweaver',
        'spiderpool',
        'eth0',
        'c1',
        'K8S_POD_NAMESPACE=pay;K8S_POD_NAME=api-0',
      ),
    ),
  );

  it('end as a refusal with a code or as a checked call', () => {
    const outcomes = { read: 0, refused: 0 };
    fc.assert(
      fc.property(stdins, environments, fc.boolean(), (stdin, environment, isWhole) => {
        const base: RequestFrame = cniCall('ADD', { environment, stdin });
        const frame = isWhole ? base : { ...base, environment: new Map(Object.entries(environment)) };
        outcomes[outcomeOf(() => parseCniCall(frame))] += 1;
      }),
      seeded,
    );
    expect(outcomes.refused).toBeGreaterThan(100);
  });

  it('of configurations that are almost right do too, and some are right', () => {
    const outcomes = { read: 0, refused: 0 };
    fc.assert(
      fc.property(
        fc.dictionary(
          keys.filter((key) => key !== 'name' && key !== 'cniVersion'),
          values,
        ),
        (change) => {
          for (const plugin of ['orbweaver', 'spiderpool'] as const) {
            outcomes[
              outcomeOf(() => parseNetworkConf(plugin, parseConf(bytes({ ...wholeConf, ...chainedConf, ...change }))))
            ] += 1;
          }
        },
      ),
      seeded,
    );
    expect(outcomes.read).toBeGreaterThan(100);
    expect(outcomes.refused).toBeGreaterThan(100);
  });

  it('that become a call hold nothing that could leave its directory or its line', () => {
    const evil = fc.stringMatching(/^[a-zA-Z0-9_./\\:% \n\0-]{1,20}$/);
    fc.assert(
      fc.property(evil, evil, evil, evil, (CNI_CONTAINERID, CNI_IFNAME, name, podName) => {
        const CNI_ARGS = `K8S_POD_NAMESPACE=pay;K8S_POD_NAME=${podName}`;
        let call: ReturnType<typeof parseCniCall>;
        try {
          call = parseCniCall(
            cniCall('ADD', { environment: { CNI_CONTAINERID, CNI_IFNAME, CNI_ARGS }, stdin: { ...wholeConf, name } }),
          );
        } catch {
          return;
        }
        if (call.command !== 'ADD') throw new Error('An ADD became something else');
        for (const part of [
          call.attachment.containerID,
          call.attachment.ifName,
          call.attachment.network,
          call.pod.name,
        ]) {
          expect(part).toMatch(/^[^\s/\0]+$/);
          expect(part).not.toMatch(/^\.{1,2}$/);
        }
      }),
      seeded,
    );
  });
});

describe('coordination', () => {
  const coordinator = (conf: object) => {
    const call = parseCniCall(
      cniCall('ADD', { environment: { ORBWEAVER_PLUGIN: 'coordinator' }, stdin: { ...coordinatorConf, ...conf } }),
    );
    if (call.command !== 'ADD') throw new Error(call.command);
    return call;
  };

  it('of plugin coordinator is an attachment of its own kind: the chain shares network and interface', () => {
    expect(coordinator({ mode: 'underlay', spiderCoordinator: 'rack7' })).toMatchObject({
      attachment: { kind: 'coordinate' },
      network: {
        provides: 'coordination',
        coordination: { conf: { mode: 'underlay', podDefaultRouteNic: 'net1' }, coordinator: 'rack7' },
      },
      prevResult: coordinatorConf.prevResult,
    });
  });

  it('is on in whole mode when its key is there, also when it is empty', () => {
    expect(network({ coordinator: {} })).toMatchObject({
      provides: 'interface',
      coordination: { conf: {}, coordinator: 'default' },
    });
    expect(network({ coordinator: { vethMTU: 1400, spiderCoordinator: '' } }).coordination).toEqual({
      conf: { vethMtuBytes: 1400 },
      coordinator: 'default',
    });
    expect(network({})).not.toHaveProperty('coordination');
    expect(network({ coordinator: null })).not.toHaveProperty('coordination');
  });

  it('takes what CNI and Spiderpool add to a configuration', () => {
    const conf = { disableCheck: true, 'cni.dev/attachments': [], logOptions: {}, detectGateway: false };
    expect(coordinator(conf).network.coordination?.conf).toEqual({ podDefaultRouteNic: 'net1' });
  });

  it('names a key that it does not know', () => {
    expect(refusal(() => coordinator({ vethMtu: 1400 })).message).toBe('Key "vethMtu" is unknown to the coordinator');
  });
});
