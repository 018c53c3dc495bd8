import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { underlayPool } from '../../deploy/dev/cluster.ts';
import { eventually } from '../../deploy/dev/eventually.ts';
import { faultMoments, undoMoments } from '../../deploy/dev/faulty-node-worker.ts';
import type { CallOptions, CniAnswer, HandMadeSandbox } from '../../deploy/dev/hand-made-sandbox.ts';
import { ippoolAnnotation } from '../../ipam/pool-annotation.ts';
import {
  type BadNetwork,
  badNetworks,
  lentDevice,
  linksForBadNetworks,
  withoutLinksForBadNetworks,
} from './bad-networks.ts';
import { asLines } from './cluster-state.ts';
import { violationsOf } from './invariants.ts';
import { TestCluster, timed } from './test-cluster.ts';

let cluster: TestCluster;
beforeAll(async () => {
  cluster = await TestCluster.start({ nodes: ['node-a'] });
  await cluster.stack.apply(
    underlayPool('v4', 4, ['10.70.8.1-10.70.8.250']),
    underlayPool('v6', 6, ['fd00:70::8:1-fd00:70::8:ff']),
    underlayPool('tiny', 4, ['10.70.9.1-10.70.9.3'], { default: false }),
    underlayPool('off', 4, ['10.70.9.10-10.70.9.20'], { default: false, disable: true }),
  );
}, 120_000);
afterAll(() => cluster?.stop(), 60_000);

beforeEach(() => cluster.remember());
afterEach(() => cluster.removeSandboxes().then(() => cluster.untilAsRemembered()));

const injected = (moment: string): object => ({
  cniVersion: '1.1.0',
  code: 101,
  msg: `Injected failure ${moment}. None: it was asked for`,
  details: 'KernelRefused',
});

/** The addresses in an answer, without prefix length. */
const addressesIn = ({ body }: CniAnswer): readonly string[] =>
  (body?.ips ?? []).map(({ address }) => address.split('/', 1).join());

async function untilUntouched(untouched: readonly string[], seconds: number): Promise<void> {
  await eventually('Nothing is left', seconds, async () => {
    const left = asLines(await cluster.state()).filter((line) => !untouched.includes(line));
    return left.length === 0 ? { value: true } : { state: left.join('\n') };
  });
}

/** An attachment is written down twice, before its first effect and with its answer, and claims two addresses: each of these moments comes in the middle of an ADD. */
const laterMoments = [
  'skip before records.write\nbefore records.write',
  'skip before claims.take\nbefore claims.take',
  'skip after claims.take\nafter claims.take',
];
/** Once its result is written down an attachment is complete and cannot fail any more; its worker can die. */
const whenComplete = 'skip after records.write\nafter records.write';
const struck = (faults: string): string => faults.split('\n').at(-1) ?? '';

describe('an ADD', () => {
  it.each([...faultMoments, ...laterMoments])(
    'that fails "%s" says so, leaves everything as it was, and succeeds when it is repeated',
    async (faults) => {
      const sandbox = await cluster.sandbox('fault');
      const untouched = asLines(await cluster.state());
      await cluster.inject(faults);

      expect(await sandbox.add()).toEqual({ exitCode: 1, body: injected(struck(faults)) });
      expect(asLines(await cluster.state())).toEqual(untouched);
      await cluster.untilStatus(sandbox, 'FAILED');

      expect(await sandbox.add()).toMatchObject({ exitCode: 0 });
      expect(violationsOf(await cluster.state())).toEqual([]);
      await cluster.deletePod(sandbox);
      expect(await sandbox.del()).toEqual({ exitCode: 0, body: undefined });
      expect(asLines(await cluster.state())).toEqual(untouched);
      await cluster.untilStatus(sandbox, 'COMPLETED');
    },
  );

  it.each(undoMoments)('whose undo fails once %s still leaves nothing', async (moment) => {
    const sandbox = await cluster.sandbox('undo');
    const untouched = asLines(await cluster.state());
    await cluster.inject(`after kernel.plumb\n${moment}`);

    expect(await sandbox.add()).toEqual({ exitCode: 1, body: injected('after kernel.plumb') });
    await cluster.untilStatus(sandbox, 'FAILED');
    expect(asLines(await cluster.state())).toEqual(untouched);
  });

  it.each([...faultMoments, ...laterMoments, whenComplete])(
    'during which the worker is killed "%s" gets its answer from the next worker',
    async (faults) => {
      const sandbox = await cluster.sandbox('killed');
      const untouched = asLines(await cluster.state());
      await cluster.inject(faults.replace(/.*$/, (last) => `kill ${last}`));

      const { ended } = cluster.node.worker;
      const adding = sandbox.add();
      expect(await ended).toBe('signal SIGKILL');
      cluster.node.worker.start();
      const { exitCode, body } = await adding;

      // A caller that waits is given its interface: it came back under the same nonce.
      expect({ exitCode, msg: body?.msg }).toEqual({ exitCode: 0, msg: undefined });
      expect(violationsOf(await cluster.state())).toEqual([]);
      expect((await cluster.untilAttached(sandbox)).interfaces).toMatchObject([{ ifName: 'eth0', phase: 'Attached' }]);
      await cluster.deletePod(sandbox);
      expect(await sandbox.del()).toMatchObject({ exitCode: 0 });
      expect(asLines(await cluster.state())).toEqual(untouched);
      await cluster.untilStatus(sandbox, 'COMPLETED');
    },
  );

  it('whose worker is killed right after the answer is recorded by its run', async () => {
    const sandbox = await cluster.sandbox('answered');
    const added = await sandbox.add();
    await cluster.restartWorker();
    expect(added).toMatchObject({ exitCode: 0 });

    const { interfaces } = await cluster.untilAttached(sandbox);
    expect(interfaces.flatMap(({ addresses }) => addresses.map(({ address }) => address.split('/', 1).join()))).toEqual(
      addressesIn(added),
    );
    expect(violationsOf(await cluster.state())).toEqual([]);
  });

  it('whose caller hangs up leaves nothing, or what its DEL finds', async () => {
    for (const killAfterSeconds of [0.001, 0.004, 0.008, 0.016, 0.032, 0.1]) {
      const sandbox = await cluster.sandbox(`hung-up-${killAfterSeconds * 1000}`);
      const untouched = asLines(await cluster.state());
      await sandbox.add({ killAfterSeconds });
      await cluster.deletePod(sandbox);
      expect(await sandbox.del()).toMatchObject({ exitCode: 0 });
      await untilUntouched(untouched, 20);
    }
  });
});

describe('a DEL', () => {
  it.each(undoMoments)('that fails once %s still succeeds and leaves nothing', async (moment) => {
    const sandbox = await cluster.sandbox('del-fault');
    const untouched = asLines(await cluster.state());
    expect(await sandbox.add()).toMatchObject({ exitCode: 0 });
    await cluster.deletePod(sandbox);
    await cluster.inject(moment);

    const { exitCode, seconds } = await timed(sandbox.del());
    expect(exitCode).toBe(0);
    expect(seconds).toBeLessThan(5);
    await cluster.untilStatus(sandbox, 'COMPLETED');
    expect(asLines(await cluster.state())).toEqual(untouched);
  });

  it.each(undoMoments)('during which the worker is killed %s is finished by the next worker', async (moment) => {
    const sandbox = await cluster.sandbox('del-killed');
    const untouched = asLines(await cluster.state());
    expect(await sandbox.add()).toMatchObject({ exitCode: 0 });
    await cluster.deletePod(sandbox);
    await cluster.inject(`kill ${moment}`);

    const { ended } = cluster.node.worker;
    const deleting = sandbox.del();
    expect(await ended).toBe('signal SIGKILL');
    cluster.node.worker.start();
    expect(await deleting).toMatchObject({ exitCode: 0 });
    await eventually('Nothing is left', 20, async () => {
      const left = asLines(await cluster.state()).filter((line) => !untouched.includes(line));
      return left.length === 0 ? { value: true } : { state: left.join('\n') };
    });
    await cluster.untilStatus(sandbox, 'COMPLETED');
  });
});

describe('bad input', () => {
  const callThroughRuntime =
    'Call the plugin through a container runtime, or set them as CNI spec 1.1.0, "Parameters", says';
  const lookAtNamespace =
    'The container runtime passes this path in CNI_NETNS. Look whether the sandbox still runs (crictl pods), and whether the node worker sees its directory: it is mounted with mountPropagation HostToContainer';
  const correctPools =
    'Correct these pools, or name others in pod annotation ipam.spidernet.io/ippool. Step by step: orb why default/bad-input';
  const cases: readonly {
    readonly name: string;
    readonly call?: CallOptions;
    readonly annotation?: string;
    readonly prepare?: (sandbox: HandMadeSandbox) => Promise<unknown>;
    readonly code: number;
    readonly message: string | ((sandbox: HandMadeSandbox) => string);
  }[] = [
    {
      name: 'an empty stdin',
      call: { stdin: '' },
      code: 6,
      message: 'The network configuration on stdin is empty. Pass it as CNI spec 1.1.0, section 2, says',
    },
    {
      name: 'a megabyte of garbage',
      call: { stdin: '\x01{"'.repeat(350_000) },
      code: 6,
      message: 'The network configuration is too large: at most 524288 bytes',
    },
    {
      name: 'half a megabyte less one of garbage',
      call: { stdin: 'x'.repeat((512 << 10) - 1) },
      code: 6,
      message: `The network configuration on stdin is no JSON: Unexpected token 'x', "xxxxxxxxxx"... is not valid JSON. Repair the NetworkAttachmentDefinition or the file in the CNI configuration directory`,
    },
    {
      name: 'an unknown cniVersion',
      call: { conf: { cniVersion: '9.9.9' } },
      code: 1,
      message: 'cniVersion is "9.9.9". Use one of 0.3.0, 0.3.1, 0.4.0, 1.0.0, 1.1.0',
    },
    {
      name: 'an unknown key',
      call: { conf: { vlan: 70 } },
      code: 7,
      message:
        'Key "vlan" is unknown to type orbweaver. Remove it; known are kind, master, vlanID, bond, mode, mtu, default_ipv4_ippool, default_ipv6_ippool, clean_gateway',
    },
    { name: 'no command', call: { env: { CNI_COMMAND: '' } }, code: 4, message: 'CNI_COMMAND is not set' },
    {
      name: 'no container ID',
      call: { env: { CNI_CONTAINERID: '' } },
      code: 4,
      message: `ADD needs CNI_CONTAINERID in its environment. ${callThroughRuntime}`,
    },
    {
      name: 'neither namespace nor interface name',
      call: { env: { CNI_NETNS: '', CNI_IFNAME: '' } },
      code: 4,
      message: `ADD needs CNI_IFNAME and CNI_NETNS in its environment. ${callThroughRuntime}`,
    },
    {
      name: 'no pod',
      call: { env: { CNI_ARGS: '' } },
      code: 4,
      message:
        'CNI_ARGS names no pod: K8S_POD_NAMESPACE is "", K8S_POD_NAME is "", K8S_POD_UID is "". Call the plugin through a Kubernetes container runtime, which sets K8S_POD_NAMESPACE, K8S_POD_NAME and K8S_POD_UID',
    },
    {
      name: 'a container ID that leads elsewhere',
      call: { env: { CNI_CONTAINERID: '../../x' } },
      code: 4,
      message: 'CNI_CONTAINERID is "../../x". It has at most 128 bytes and no white space, "/" or ":"',
    },
    {
      name: 'an interface name that is too long',
      call: { env: { CNI_IFNAME: 'sixteen-bytes-00' } },
      code: 4,
      message: 'CNI_IFNAME is "sixteen-bytes-00". It has at most 15 bytes and no white space, "/" or ":"',
    },
    {
      name: 'a namespace that is a regular file',
      call: { env: { CNI_NETNS: '/etc/hostname' } },
      code: 8,
      message: `Cannot work in network namespace /etc/hostname: it is a regular file. ${lookAtNamespace}`,
    },
    {
      name: 'a namespace that is not there',
      call: { env: { CNI_NETNS: '/run/netns/none' } },
      code: 8,
      message: `Cannot work in network namespace /run/netns/none: there is no such file. ${lookAtNamespace}`,
    },
    {
      name: "the node's own namespace",
      call: { env: { CNI_NETNS: '/proc/self/ns/net' } },
      code: 8,
      message: `Cannot work in network namespace /proc/self/ns/net: it is the node's own. ${lookAtNamespace}`,
    },
    {
      name: 'a namespace of another type',
      call: { env: { CNI_NETNS: '/proc/self/ns/mnt' } },
      code: 8,
      message: `Cannot work in network namespace /proc/self/ns/mnt: it is a namespace of another type. ${lookAtNamespace}`,
    },
    {
      name: 'an interface name that is taken',
      prepare: (sandbox) =>
        sandbox.exec([
          'ip',
          'link',
          'add',
          'eth0',
          'address',
          '02:00:00:00:00:07',
          'type',
          'veth',
          'peer',
          'name',
          'other',
        ]),
      code: 7,
      message:
        'Cannot make interface "eth0": the pod already has one of that name (veth, MAC 02:00:00:00:00:07, on link 2), which is not ours. Nothing was changed. Give one of the two networks another interface name, or remove the stranger in the pod\'s namespace: ip link del eth0',
    },
    {
      name: 'a master that is not there',
      call: { conf: { master: ['bond9'] } },
      code: 7,
      message:
        'Cannot make an interface on "bond9": the node has no such link. Correct `master` in the network configuration, or make that link on the node: ip link show',
    },
    {
      name: 'an unknown pool',
      annotation: '{"ipv4": ["nowhere"]}',
      code: 7,
      message: `Cannot choose an IPv4 pool from pod annotation ipam.spidernet.io/ippool: "nowhere" does not exist. ${correctPools}`,
    },
    {
      name: 'a malformed annotation',
      annotation: '{"ipv4": "v4"}',
      code: 7,
      message: `Cannot read pod annotation ipam.spidernet.io/ippool: "ipv4" is not a list of pool names. Found: {"ipv4": "v4"}. Write it as in this example: ipam.spidernet.io/ippool: '{"ipv4": ["pool-a", "pool-b"], "ipv6": ["pool-c"]}'`,
    },
    {
      name: 'a disabled pool',
      annotation: '{"ipv4": ["off"]}',
      code: 7,
      message: `Cannot choose an IPv4 pool from pod annotation ipam.spidernet.io/ippool: "off" is disabled. ${correctPools}`,
    },
    {
      name: 'an unknown pod',
      prepare: (sandbox) => cluster.deletePod(sandbox),
      code: 11,
      message: ({ podUID }) =>
        `Cannot claim addresses for pod default/bad-input: the API server knows no pod of that name with UID "${podUID}". None is needed when the pod was just deleted; otherwise compare: kubectl get pod -o yaml`,
    },
    {
      name: 'plugin coordinator before every other',
      call: { plugin: 'coordinator' },
      code: 7,
      message:
        'type coordinator got no prevResult. Put it after the plugin that makes the interface in the plugin list',
    },
  ];
  it.each(cases)(
    '$name is refused with its code and message, and leaves nothing',
    async ({ call, annotation, prepare, code, message }) => {
      const sandbox = await cluster.sandbox(
        'bad-input',
        annotation === undefined ? {} : { [ippoolAnnotation]: annotation },
      );
      await prepare?.(sandbox);
      const untouched = asLines(await cluster.state());

      const { exitCode, body } = await sandbox.add(call);
      expect(asLines(await cluster.state())).toEqual(untouched);
      expect({ exitCode, code: body?.code, msg: body?.msg }).toEqual({
        exitCode: 1,
        code,
        msg: typeof message === 'string' ? message : message(sandbox),
      });
      // It is no trouble for the next one.
      const next = await cluster.sandbox('next');
      expect(await next.add()).toMatchObject({ exitCode: 0 });
    },
  );

  describe('of a network', () => {
    const ip = (lines: readonly string[]) =>
      cluster.node.node.exec(['ip', '-batch', '-'], { input: lines.map((line) => `${line}\n`).join('') });
    beforeAll(() => ip(linksForBadNetworks), 30_000);
    afterAll(() => ip(withoutLinksForBadNetworks), 30_000);

    it.each(badNetworks)(
      '$name is refused with its code and message, and leaves nothing',
      async ({ conf, annotations, type, code, message }: BadNetwork) => {
        const owner = type === 'DeviceInUse' ? await cluster.sandbox('device-owner') : undefined;
        if (owner !== undefined) expect(await owner.add({ conf: lentDevice })).toMatchObject({ exitCode: 0 });
        const sandbox = await cluster.sandbox('bad-network', annotations);
        const untouched = asLines(await cluster.state());

        const { exitCode, body } = await sandbox.add({ conf });
        expect(asLines(await cluster.state())).toEqual(untouched);
        expect({ exitCode, code: body?.code, type: body?.details, msg: body?.msg }).toEqual({
          exitCode: 1,
          code,
          type,
          msg: message.replace('CONTAINER', owner?.containerID ?? ''),
        });
      },
      60_000,
    );
  });

  it('an exhausted pool is told with exact numbers, and leaves nothing', async () => {
    const annotations = { [ippoolAnnotation]: '{"ipv4": ["tiny"]}' };
    for (const name of ['one', 'two', 'three']) {
      expect(await (await cluster.sandbox(name, annotations)).add()).toMatchObject({ exitCode: 0 });
    }
    const fourth = await cluster.sandbox('four', annotations);
    const untouched = asLines(await cluster.state());
    const { exitCode, body } = await fourth.add();
    expect(asLines(await cluster.state())).toEqual(untouched);
    expect({ exitCode, code: body?.code, msg: body?.msg }).toEqual({
      exitCode: 1,
      code: 11,
      msg: 'Cannot claim an IPv4 address from pool "tiny": all 3 are in use. Extend spec.ips of SpiderIPPool "tiny", or see who holds them: orb pools tiny',
    });
  });
});
