import { describe, expect, it } from '@jest/globals';
import type { AttachmentRecord } from '../../activities/node-ports.ts';
import { type CniResult, cniVersions } from '../../contracts/cni.ts';
import { ProvisionError } from '../../contracts/failures.ts';
import { encodeRequest, type RequestFrame } from '../../contracts/frame.ts';
import type { AddRequest, DetachRequest } from '../../contracts/pod-network.ts';
import { addRequest } from '../../workflows/testing/node-model.ts';
import { CallServer, type CallServerOptions } from './call-server.ts';
import { versionOf } from './cni-reply.ts';
import type { DetachService } from './detach-service.ts';
import { OpenCalls } from './open-calls.ts';
import {
  chainedConf,
  cniCall,
  cniNonce,
  coordinatorConf,
  ifacerConf,
  printed,
  wholeConf,
} from './testing/calls-to-cni.ts';
import { memoryRecords, recordKey, silent } from './testing/node-world.ts';

const result: CniResult = {
  interfaces: [{ name: 'eth0', mac: '02:00:00:00:00:01', mtu: 1500, sandbox: '/run/netns/cni-1' }],
  ips: [{ address: '10.70.8.20/22', gateway: '10.70.8.1', interface: 0 }],
  routes: [{ dst: '0.0.0.0/0', gw: '10.70.8.1' }],
  dns: {},
};

function open(more: Partial<CallServerOptions> = {}) {
  const world = { records: new Map<string, AttachmentRecord>() };
  const [added, detached, queued]: [AddRequest[], DetachRequest[], Uint8Array[]] = [[], [], []];
  const calls = new OpenCalls();
  const server = new CallServer({
    node: 'r7-n1',
    calls,
    runs: { add: async (request) => (added.push(request), result) },
    detaches: {
      detach: async (request: DetachRequest) => (detached.push(request), 'undone'),
    } as unknown as DetachService,
    queue: { put: async (frame) => void queued.push(frame) },
    records: memoryRecords(world),
    kernel: { identifyNamespace: async () => ({ cookie: '4711' }), namespaceState: async () => 'alive' },
    differences: async () => [],
    untilReady: () => Promise.resolve(),
    report: () => Promise.reject(new Error('no report here')),
    sandboxReport: () => Promise.reject(new Error('no report here')),
    log: { ...silent, child: () => silent },
    nowMs: () => 1_790_000_000_000,
    ...more,
  });
  const remember = (record: AttachmentRecord) => void world.records.set(recordKey(record.attachment), record);
  const serve = async (frame: RequestFrame, gone = new AbortController().signal) => {
    const reply = await server.serve(frame, gone);
    return {
      exitCode: reply.exitCode,
      json: reply.stdout.length === 0 ? undefined : (JSON.parse(printed(reply)) as Record<string, unknown>),
    };
  };
  return { server, serve, calls, added, detached, queued, remember };
}

const { attachment, pod, netns, netnsCookie } = addRequest();
const doneRecord: AttachmentRecord = {
  attachment,
  pod,
  netns,
  netnsCookie,
  provides: 'interface',
  addresses: [],
  doneResult: result,
  addedAtMs: 0,
};

describe('ADD', () => {
  it('is for the device that its device information file tells', async () => {
    const asked: string[] = [];
    const text = '{"type":"pci","version":"1.1.0","pci":{"pci-address":"0000:3b:02.1"}}';
    const { serve, added } = open({ readDeviceInfo: (path) => (asked.push(path), text) });
    const runtimeConfig = { CNIDeviceInfoFile: '/var/run/k8s.cni.cncf.io/devinfo/cni/rail0' };
    const stdin = {
      ...wholeConf,
      kind: 'sriov',
      master: undefined,
      mode: undefined,
      deviceID: 'rail0-1',
      runtimeConfig,
    };
    expect(await serve(cniCall('ADD', { stdin }))).toMatchObject({ exitCode: 0 });
    expect(asked).toEqual([runtimeConfig.CNIDeviceInfoFile]);
    expect(added).toMatchObject([{ network: { device: { pciAddress: '0000:3b:02.1' } } }]);
  });

  it('hands the checked request to the run and prints its result', async () => {
    const { serve, added, calls } = open();
    expect(await serve(cniCall('ADD'))).toEqual({
      exitCode: 0,
      json: expect.objectContaining({ cniVersion: '1.0.0' }),
    });
    expect(added).toEqual([addRequest('eth0', cniNonce)]);
    expect(calls.size).toBe(0);
  });

  it.each(cniVersions)("answers in the caller's version %s", async (cniVersion) => {
    const { serve } = open();
    const { json } = await serve(cniCall('ADD', { stdin: { ...wholeConf, cniVersion } }));
    expect(json).toMatchObject({ cniVersion, ips: [expect.objectContaining({ address: '10.70.8.20/22' })] });
  });

  it.each([
    ['coordinator', coordinatorConf],
    ['ifacer', { ...ifacerConf, prevResult: coordinatorConf.prevResult }],
  ])('of %s prints what the plugins before it made, as it is', async (plugin, stdin) => {
    const { serve, added } = open();
    const { json } = await serve(cniCall('ADD', { environment: { ORBWEAVER_PLUGIN: plugin }, stdin }));
    expect(json).toEqual(coordinatorConf.prevResult);
    expect(added).toHaveLength(1);
    expect(JSON.stringify(added)).not.toContain('10.70.8.21'); // so none of it goes through a run
  });

  it('is known as waiting before anything is awaited, and not after its caller hung up', async () => {
    const gone = new AbortController();
    const ready = Promise.withResolvers<void>();
    const { server, calls } = open({ untilReady: () => ready.promise });
    const served = server.serve(cniCall('ADD'), gone.signal);
    expect(calls.isWaiting(cniNonce)).toBe(true);
    gone.abort();
    expect(calls.isWaiting(cniNonce)).toBe(false);
    ready.resolve();
    await served;
    expect(calls.isWaiting(cniNonce)).toBe(false);
  });
});

describe('DEL', () => {
  it('prints nothing and succeeds once everything is undone', async () => {
    const { serve, detached, queued } = open();
    expect(await serve(cniCall('DEL'))).toEqual({ exitCode: 0, json: undefined });
    expect(detached).toEqual([{ attachment, pod, netns, nonce: cniNonce, reason: 'detach' }]);
    expect(queued).toEqual([]);
  });

  it.each([
    ['a namespace', { CNI_NETNS: '' }],
    ['any pod', { CNI_ARGS: undefined }],
  ])('succeeds without %s', async (_, environment) => {
    const { serve, detached } = open();
    expect((await serve(cniCall('DEL', { environment }))).exitCode).toBe(0);
    expect(detached).toHaveLength(1);
  });

  it('is about the pod that the attachment was made for, whatever the call says', async () => {
    const { serve, detached, remember } = open();
    remember(doneRecord);
    await serve(cniCall('DEL', { environment: { CNI_ARGS: undefined } }));
    expect(detached[0]?.pod).toEqual(pod);
  });

  it.each([
    ['its sandbox stays locked', () => Promise.reject(new Error('not in time'))],
    ['the run could not be told', () => Promise.resolve('run-open')],
  ])('is kept on disk, as it came, and succeeds when %s', async (_, detach) => {
    const { serve, queued } = open({ detaches: { detach } as unknown as DetachService });
    expect(await serve(cniCall('DEL'))).toEqual({ exitCode: 0, json: undefined });
    expect(queued).toEqual([encodeRequest(cniCall('DEL'))]);
  });

  it('fails when it can neither be done nor kept', async () => {
    const { serve } = open({
      detaches: { detach: () => Promise.reject(new Error('not in time')) } as unknown as DetachService,
      queue: { put: () => Promise.reject(new Error('ENOSPC: no space left on device')) },
    });
    expect(await serve(cniCall('DEL'))).toMatchObject({
      exitCode: 1,
      json: { msg: expect.stringContaining('ENOSPC') },
    });
  });

  it.each([
    ['ifacer', 'prepare'],
    ['rdma', 'rdma'],
    ['coordinator', 'coordinate'],
  ])('of %s undoes what that made and nothing of the other plugins of its chain', async (plugin, kind) => {
    const { serve, detached } = open();
    expect((await serve(cniCall('DEL', { environment: { ORBWEAVER_PLUGIN: plugin } }))).exitCode).toBe(0);
    expect(detached).toMatchObject([{ attachment: { kind } }]);
  });
});

describe('CHECK', () => {
  it('succeeds while everything is as it was added', async () => {
    const { serve, remember } = open();
    remember(doneRecord);
    expect(await serve(cniCall('CHECK'))).toEqual({ exitCode: 0, json: undefined });
  });

  it('compares with the MAC that the chain answered', async () => {
    const seen: unknown[] = [];
    const { serve, remember } = open({ differences: async (_, mac) => (seen.push(mac), []) });
    remember(doneRecord);
    const interfaces = [{ name: 'eth0', mac: '02:00:00:00:00:0a', sandbox: netns }];
    await serve(cniCall('CHECK', { stdin: { ...wholeConf, prevResult: { interfaces } } }));
    expect(seen).toEqual(['02:00:00:00:00:0a']);
  });

  it.each([
    ['never added', undefined, 'it was never attached, or was detached'],
    [
      'not complete',
      { ...doneRecord, doneResult: undefined } as unknown as AttachmentRecord,
      'it was never attached, or was detached',
    ],
    ['changed', doneRecord, 'link eth0 is down; claim 10.70.8.20 is gone'],
  ])('names the differences of an attachment that was %s', async (_, record, message) => {
    const { serve, remember } = open({ differences: async () => ['link eth0 is down', 'claim 10.70.8.20 is gone'] });
    if (record !== undefined) remember(record);
    expect(await serve(cniCall('CHECK'))).toEqual({
      exitCode: 1,
      json: {
        cniVersion: '1.0.0',
        code: 103,
        msg: `Interface eth0 of sandbox 5bc0ffee is not as it was added: ${message}. Delete the pod, so that its network is made anew`,
        details: 'NotAsAdded',
      },
    });
  });
});

describe('GC', () => {
  const gc = (valid: unknown) => cniCall('GC', { stdin: { ...wholeConf, 'cni.dev/valid-attachments': valid } });
  const gone = { identifyNamespace: async () => ({ cookie: '4711' }), namespaceState: async () => 'gone' as const };

  it('removes what the runtime does not list, when its sandbox is proven gone', async () => {
    const { serve, detached, remember } = open({ kernel: gone });
    remember(doneRecord);
    expect(await serve(gc([]))).toEqual({ exitCode: 0, json: undefined });
    expect(detached).toEqual([expect.objectContaining({ attachment, pod, reason: 'proven-gone' })]);
  });

  it.each([
    ['listed', { kernel: gone }, [{ containerID: '5bc0ffee', ifname: 'eth0' }], doneRecord],
    ['of a living sandbox', {}, [], doneRecord],
    [
      'of a sandbox that nobody can see',
      { kernel: { ...gone, namespaceState: async () => 'unproven' as const } },
      [],
      doneRecord,
    ],
    ['of another network', { kernel: gone }, [], { ...doneRecord, attachment: { ...attachment, network: 'other' } }],
  ])('leaves an attachment alone that is %s', async (_, options, valid, record) => {
    const { serve, detached, remember } = open(options);
    remember(record);
    expect((await serve(gc(valid))).exitCode).toBe(0);
    expect(detached).toEqual([]);
  });

  it('fails without its list and removes nothing', async () => {
    const { serve, detached, remember } = open({ kernel: gone });
    remember(doneRecord);
    expect(await serve(cniCall('GC'))).toEqual({
      exitCode: 1,
      json: expect.objectContaining({
        code: 7,
        msg: expect.stringContaining('Key "cni.dev/valid-attachments" is missing'),
      }),
    });
    expect(detached).toEqual([]);
  });

  it('keeps on disk what could not be removed, and goes on', async () => {
    const seen: string[] = [];
    const { serve, remember, queued } = open({
      kernel: gone,
      detaches: {
        detach: async (request: DetachRequest) => {
          seen.push(request.attachment.ifName);
          if (request.attachment.ifName === 'eth0') throw new Error('the link is busy');
          return 'undone';
        },
      } as unknown as DetachService,
    });
    remember(doneRecord);
    remember({ ...doneRecord, attachment: { ...attachment, ifName: 'net1' } });
    expect((await serve(gc([]))).exitCode).toBe(0);
    expect(seen).toEqual(['eth0', 'net1']);
    expect(queued).toHaveLength(1);
  });
});

describe('STATUS and VERSION', () => {
  it.each(['STATUS', 'VERSION'])('%s succeeds without work', async (command) => {
    const { serve } = open();
    expect(await serve(cniCall(command))).toEqual({ exitCode: 0, json: undefined });
  });
});

/** Bad input, each with its exact CNI error, and nothing asked of the run. */
describe('a call that cannot be served', () => {
  const refused = (error: Error) => ({
    identifyNamespace: () => Promise.reject(error),
    namespaceState: async () => 'alive' as const,
  });
  const table: [
    string,
    RequestFrame,
    { code: number; msg: string | RegExp; details: string },
    Partial<CallServerOptions>?,
  ][] = [
    [
      'empty stdin',
      cniCall('ADD', { stdin: '' }),
      {
        code: 6,
        details: 'InvalidJson',
        msg: 'The network configuration on stdin is empty. Pass it as CNI spec 1.1.0, section 2, says',
      },
    ],
    [
      'a megabyte of garbage',
      cniCall('ADD', { stdin: 'garbage '.repeat(131_072) }),
      {
        code: 6,
        details: 'InvalidJson',
        msg: /^The network configuration on stdin is no JSON: .{1,200}\. Repair the NetworkAttachmentDefinition/,
      },
    ],
    [
      'bytes that are not UTF-8',
      cniCall('ADD', { stdin: new Uint8Array([0x7b, 0xff, 0xfe, 0x7d]) }),
      { code: 6, details: 'InvalidJson', msg: /^The network configuration on stdin is no JSON: / },
    ],
    [
      'a JSON array',
      cniCall('ADD', { stdin: [wholeConf] }),
      {
        code: 6,
        details: 'InvalidJson',
        msg: 'The network configuration on stdin is no JSON object. Pass one object, with cniVersion, name and type',
      },
    ],
    [
      'a version that is not spoken',
      cniCall('ADD', { stdin: { ...wholeConf, cniVersion: '9.9.9' } }),
      {
        code: 1,
        details: 'IncompatibleCniVersion',
        msg: 'cniVersion is "9.9.9". Use one of 0.3.0, 0.3.1, 0.4.0, 1.0.0, 1.1.0',
      },
    ],
    [
      'an unknown key',
      cniCall('ADD', { stdin: { ...wholeConf, mastr: 'bond1' } }),
      {
        code: 7,
        details: 'InvalidConfig',
        msg: /^Key "mastr" is unknown to type orbweaver\. Remove it; known are kind, master, vlanID, bond, mode, mtu,/,
      },
    ],
    [
      'no container ID and no interface name',
      cniCall('ADD', { environment: { CNI_CONTAINERID: '', CNI_IFNAME: undefined } }),
      {
        code: 4,
        details: 'InvalidEnvironment',
        msg: 'ADD needs CNI_CONTAINERID and CNI_IFNAME in its environment. Call the plugin through a container runtime, or set them as CNI spec 1.1.0, "Parameters", says',
      },
    ],
    [
      'no namespace',
      cniCall('ADD', { environment: { CNI_NETNS: undefined } }),
      { code: 4, details: 'InvalidEnvironment', msg: /^ADD needs CNI_NETNS in its environment\. / },
    ],
    [
      'no command',
      cniCall('ADD', { environment: { CNI_COMMAND: undefined } }),
      {
        code: 4,
        details: 'InvalidEnvironment',
        msg: 'CNI_COMMAND is missing. Allowed: ADD, DEL, CHECK, GC, STATUS, VERSION',
      },
    ],
    [
      'no pod',
      cniCall('ADD', { environment: { CNI_ARGS: 'IgnoreUnknown=1' } }),
      {
        code: 4,
        details: 'InvalidEnvironment',
        msg: /^CNI_ARGS names no pod: K8S_POD_NAMESPACE is "", K8S_POD_NAME is "", K8S_POD_UID is ""\. /,
      },
    ],
    [
      'a pod name that is a path',
      cniCall('ADD', { environment: { CNI_ARGS: 'K8S_POD_NAMESPACE=pay;K8S_POD_NAME=../../etc' } }),
      { code: 4, details: 'InvalidEnvironment', msg: /^CNI_ARGS names no pod: .*K8S_POD_NAME is "\.\.\/\.\.\/etc"/ },
    ],
    [
      'a container ID that is a path',
      cniCall('ADD', { environment: { CNI_CONTAINERID: '../escape' } }),
      { code: 4, details: 'InvalidEnvironment', msg: /^CNI_CONTAINERID is "\.\.\/escape"\. / },
    ],
    [
      'an interface name that the kernel would not take',
      cniCall('ADD', { environment: { CNI_IFNAME: 'sixteen-letters!' } }),
      { code: 4, details: 'InvalidEnvironment', msg: /^CNI_IFNAME is "sixteen-letters!"\. / },
    ],
    [
      'a network name that is a path',
      cniCall('ADD', { stdin: { ...wholeConf, name: 'a/b' } }),
      { code: 7, details: 'InvalidConfig', msg: /^Key "name" of the network configuration is "a\/b"\. / },
    ],
    [
      'a namespace that is a regular file',
      cniCall('ADD'),
      { code: 8, details: 'InvalidNamespace', msg: 'Cannot use /run/netns/cni-1: it is no network namespace' },
      {
        kernel: refused(
          new ProvisionError({
            type: 'InvalidNamespace',
            message: 'Cannot use /run/netns/cni-1: it is no network namespace',
          }),
        ),
      },
    ],
    [
      'a worker that is not ready',
      cniCall('ADD'),
      { code: 11, details: 'ApiServerUnavailable', msg: 'Cannot claim addresses yet. See kubectl get --raw /readyz' },
      {
        untilReady: () =>
          Promise.reject(
            new ProvisionError({
              type: 'ApiServerUnavailable',
              message: 'Cannot claim addresses yet',
              remedy: 'See kubectl get --raw /readyz',
            }),
          ),
      },
    ],
    [
      'Temporal away',
      cniCall('ADD'),
      { code: 11, details: 'TemporalUnavailable', msg: 'Temporal does not answer' },
      {
        runs: {
          add: () =>
            Promise.reject(new ProvisionError({ type: 'TemporalUnavailable', message: 'Temporal does not answer' })),
        },
      },
    ],
    [
      'something that nobody expected',
      cniCall('ADD'),
      { code: 100, details: 'Internal', msg: 'x is not a function' },
      { runs: { add: () => Promise.reject(new TypeError('x is not a function')) } },
    ],
    [
      'an unknown key of ifacer',
      cniCall('ADD', { environment: { ORBWEAVER_PLUGIN: 'ifacer' }, stdin: { ...ifacerConf, vlanId: 7 } }),
      {
        code: 7,
        details: 'InvalidConfig',
        msg: 'Key "vlanId" is unknown to type ifacer. Remove it; known are interfaces, vlanID, bond, mtu',
      },
    ],
    [
      'coordinator in front of the plugin that makes the interface',
      cniCall('ADD', {
        environment: { ORBWEAVER_PLUGIN: 'coordinator' },
        stdin: { ...coordinatorConf, prevResult: null },
      }),
      {
        code: 7,
        details: 'InvalidConfig',
        msg: 'type coordinator got no prevResult. Put it after the plugin that makes the interface in the plugin list',
      },
    ],
    [
      'an executable of another name',
      cniCall('ADD', { environment: { ORBWEAVER_PLUGIN: 'bash' } }),
      {
        code: 4,
        details: 'InvalidEnvironment',
        msg: 'the name of the executable is "bash". Allowed: orbweaver, spiderpool, rdma, coordinator, ifacer',
      },
    ],
    [
      'an IPAM section that is missing',
      cniCall('ADD', { environment: { ORBWEAVER_PLUGIN: 'spiderpool' }, stdin: { ...chainedConf, ipam: undefined } }),
      {
        code: 7,
        details: 'InvalidConfig',
        msg: 'Key "ipam" of the network configuration is missing. Allowed: an object',
      },
    ],
  ];

  it.each(table)('for %s is answered with its exact error', async (_, frame, { code, msg, details }, options = {}) => {
    const { serve, added, calls } = open(options);
    const { exitCode, json } = await serve(frame);
    expect(exitCode).toBe(1);
    expect(json).toEqual({
      cniVersion: versionOf(frame.stdin),
      code,
      details,
      msg: typeof msg === 'string' ? msg : expect.stringMatching(msg),
    });
    expect(added).toEqual([]);
    expect(calls.size).toBe(0);
  });

  it.each(cniVersions)("is answered in the caller's version %s", async (cniVersion) => {
    const { serve } = open();
    expect((await serve(cniCall('ADD', { stdin: { cniVersion, name: 'underlay' } }))).json).toMatchObject({
      cniVersion,
      code: 7,
    });
  });
});

describe('a report', () => {
  it('is printed as JSON', async () => {
    const { serve } = open({ report: async () => ({ node: 'r7-n1' }) as never });
    const frame = { environment: new Map([['ORBWEAVER_REPORT', 'node']]), stdin: new Uint8Array(), nonce: cniNonce };
    expect(await serve(frame)).toEqual({ exitCode: 0, json: { node: 'r7-n1' } });
  });
});
