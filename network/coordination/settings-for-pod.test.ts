import { describe, expect, it } from '@jest/globals';
import type { CoordinationConf } from '../../contracts/coordination.ts';
import type {
  SpiderCoordinator,
  SpiderCoordinatorSpec,
  SpiderCoordinatorStatus,
} from '../../contracts/crds/spidercoordinator.ts';
import { settingsForPod } from './settings-for-pod.ts';

const synced: SpiderCoordinatorStatus = {
  phase: 'Synced',
  overlayPodCIDR: ['10.244.0.0/16'],
  serviceCIDR: ['10.96.0.0/12'],
};

const coordinator = (spec: SpiderCoordinatorSpec = {}, status?: SpiderCoordinatorStatus): SpiderCoordinator => ({
  apiVersion: 'spiderpool.spidernet.io/v2beta1',
  kind: 'SpiderCoordinator',
  metadata: { name: 'default' },
  spec: { podCIDRType: 'auto', ...spec },
  ...(status === undefined ? {} : { status }),
});

const read = (
  found: SpiderCoordinator | undefined,
  { conf = {}, annotations = {}, name = 'default' }: Asked = {},
): ReturnType<typeof settingsForPod> => settingsForPod({ conf, coordinator: name }, annotations, found);
interface Asked {
  conf?: CoordinationConf;
  annotations?: Record<string, string>;
  name?: string;
}
const routeNic = (nic: string) => ({ 'ipam.spidernet.io/default-route-nic': nic });

describe('how a pod is tied to its node', () => {
  it('is said by the coordinator: CIDRs of the cluster by its status, all else by its spec', () => {
    const found = coordinator(
      { mode: 'underlay', hijackCIDR: ['169.254.0.0/16'], podRPFilter: -1, overlayPodCIDR: ['10.1.0.0/16'] },
      synced,
    );
    expect(read(found)).toMatchObject({
      outcome: 'settings',
      settings: { mode: 'underlay', hijackCIDRs: ['10.244.0.0/16', '10.96.0.0/12', '169.254.0.0/16'] },
    });
    expect(read(found)).not.toHaveProperty('settings.podRPFilter');
  });

  it('is Spiderpool’s default where there is no coordinator, and nobody named one', () => {
    expect(read(undefined)).toMatchObject({ settings: { mode: 'auto', hijackCIDRs: [], hostRuleTable: 500 } });
    expect(read(undefined, { name: 'rack7' })).toMatchObject({
      outcome: 'refused',
      failure: { type: 'InvalidConfig', message: expect.stringContaining('SpiderCoordinator "rack7"') },
    });
  });

  it('V00007: what the network says beats the coordinator', () => {
    const found = coordinator({ vethMTU: 1400, podMACPrefix: '0a:1b' }, synced);
    const conf = { podMACPrefix: '0a:2b', serviceCIDR: ['10.0.0.0/12'] };
    expect(read(found, { conf })).toMatchObject({
      settings: { podMACPrefix: '0a:2b', vethMtuBytes: 1400, hijackCIDRs: ['10.244.0.0/16', '10.0.0.0/12'] },
    });
  });

  it.each([
    ['the coordinator', {}, {}, 'net1'],
    ['the pod’s annotation before the coordinator', {}, routeNic('net2'), 'net2'],
    ['nothing by an empty annotation', {}, routeNic(' '), 'net1'],
    ['the network before both', { podDefaultRouteNic: 'net3' }, routeNic('net2'), 'net3'],
  ])('has its default route named by %s', (_, conf, annotations, nic) => {
    const found = coordinator({ podDefaultRouteNIC: 'net1' }, synced);
    expect(read(found, { conf, annotations })).toMatchObject({ settings: { podDefaultRouteNic: nic } });
  });

  const notReady = coordinator({}, { phase: 'NotReady', reason: 'there is no IPPool', serviceCIDR: ['10.96.0.0/12'] });

  it('V00008: waits for a list that it needs, and says why it is not there', () => {
    expect(read(notReady)).toEqual({
      outcome: 'refused',
      failure: {
        type: 'CoordinatorNotReady',
        message: 'SpiderCoordinator "default" has no ready overlayPodCIDR: there is no IPPool',
        remedy: expect.stringContaining('spec.overlayPodCIDR'),
      },
    });
    expect(read(coordinator())).toMatchObject({
      failure: { message: expect.stringContaining('overlayPodCIDR and serviceCIDR: no control worker has looked yet') },
    });
  });

  it.each<[string, CoordinationConf]>([
    ['the network says it itself', { overlayPodCIDR: ['10.244.0.0/16'] }],
    ['the network says that there is none', { overlayPodCIDR: [] }],
    ['the network has coordination off', { mode: 'disabled' }],
  ])('§12.2 #11: waits for nothing when %s', (_, conf) => {
    expect(read(notReady, { conf })).toMatchObject({ outcome: 'settings' });
  });

  it('waits for nothing when the coordinator has coordination off', () => {
    expect(read(coordinator({ mode: 'disabled' }))).toMatchObject({ settings: { mode: 'disabled' } });
  });

  it('is told by a coordinator that admission would have refused in the words of admission', () => {
    expect(() => read(coordinator({ podMACPrefix: '01:00' }, synced))).toThrow('Key "podMACPrefix"');
  });
});
