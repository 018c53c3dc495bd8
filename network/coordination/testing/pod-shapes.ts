import { type CoordinationSettings, coordinationDefaults } from '../../../contracts/coordination.ts';
import type { CoordinationRequest } from '../coordination-site.ts';
import { planCoordination } from '../plan-coordination.ts';
import { CoordinationModel } from './coordination-model.ts';

/** Networks as the examples of spec/connectivity.md §1.7 have them. */
export const networks = {
  /** An overlay's, as Calico leaves it: a veth, its gateway on the link. */
  calico: { addresses: ['10.244.1.7/32', 'fd00:244::7/128'], gateways: [] },
  macvlan: { addresses: ['10.70.8.20/22', 'fd00:70::14/64'], gateways: ['10.70.8.1', 'fd00:70::1'] },
  second: { addresses: ['10.71.0.20/16', 'fd00:71::14/64'], gateways: ['10.71.0.1', 'fd00:71::1'] },
  third: { addresses: ['10.72.0.20/16', 'fd00:72::14/64'], gateways: ['10.72.0.1', 'fd00:72::1'] },
} as const;

export const settings = (changes: Partial<CoordinationSettings> = {}): CoordinationSettings => ({
  ...coordinationDefaults,
  hijackCIDRs: ['10.244.0.0/16', '10.96.0.0/12', 'fd00:96::/108'],
  ...changes,
});

export const request = (ifName: string, changes: Partial<CoordinationRequest> = {}): CoordinationRequest => ({
  containerID: '5b1e00112233445566',
  ifName,
  settings: settings(),
  awaitedNics: [],
  defaultRoutes: [],
  ...changes,
});

/** An overlay pod before any network of ours came. */
export function overlayPod(): CoordinationModel {
  const model = new CoordinationModel();
  const peer = model.addLink('node', 'cali5b1e', { kind: 'veth', mac: 'ee:ee:ee:ee:ee:ee' });
  model.addNic('eth0', { ...networks.calico, link: { kind: 'veth', parentIndex: peer.ifIndex } });
  const eth0 = model.pod.links.find(({ ifName }) => ifName === 'eth0');
  model.node.links = model.node.links.map((link) =>
    link === peer && eth0 !== undefined ? { ...link, parentIndex: eth0.ifIndex } : link,
  );
  const route = { ifName: 'eth0', table: 254, protocol: 3 } as const;
  model.pod.routes.push(
    { ...route, dst: '0.0.0.0/0', gateway: '169.254.1.1', metric: 0 },
    { ...route, dst: '169.254.1.1/32', metric: 0 },
    { ...route, dst: '::/0', gateway: 'fe80::ecee:eeff:feee:eeee', metric: 1024 },
  );
  return model;
}

/** Lets a network bring its interface and ties it to the node; gives what was done. */
export function join(
  model: CoordinationModel,
  ifName: string,
  network: keyof typeof networks,
  changes: Partial<CoordinationRequest> = {},
) {
  model.addNic(ifName, networks[network]);
  return tie(model, ifName, changes);
}

export function tie(model: CoordinationModel, ifName: string, changes: Partial<CoordinationRequest> = {}) {
  const asked = request(ifName, changes);
  const plan = planCoordination(model.observe(ifName, asked.settings.hostRuleTable), asked);
  if (plan.outcome !== 'plan') throw new Error(JSON.stringify(plan));
  model.apply(plan.operations);
  return plan;
}
