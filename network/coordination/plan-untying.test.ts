import { describe, expect, it } from '@jest/globals';
import { planUntying } from './plan-untying.ts';
import { CoordinationModel } from './testing/coordination-model.ts';
import { join, overlayPod, tie } from './testing/pod-shapes.ts';

const containerID = '5b1e00112233445566';

/** As the kernel does it: an interface that goes takes what hangs on it along. */
function untie(model: CoordinationModel, ifName: string, isLast: boolean): void {
  model.apply(planUntying(model.observe(ifName), { containerID, ifName, isLast }));
}
const ours = ({ protocol }: { protocol: number }): boolean => protocol === 79;
const left = ({ pod, node }: CoordinationModel) => ({
  pod: [...pod.rules, ...pod.routes].filter(ours),
  node: [...node.routes, ...node.neighbours].filter(ours),
  hasReplyMarks: pod.hasReplyMarks,
  links: [...pod.links, ...node.links].filter(({ kind }) => kind === 'veth').map(({ ifName }) => ifName),
});

describe('an interface of which no record is left', () => {
  it('is untied by marks, an underlay pod’s with its pair', () => {
    const model = new CoordinationModel();
    join(model, 'eth0', 'macvlan');
    untie(model, 'eth0', true);
    expect(left(model)).toEqual({ pod: [], node: [], hasReplyMarks: false, links: [] });
    expect(model.node.rules).not.toEqual([]); // all pods need it
  });

  it('is untied by marks, an overlay pod’s without its pair', () => {
    const model = overlayPod();
    join(model, 'net1', 'macvlan');
    untie(model, 'net1', true);
    expect(left(model)).toEqual({ pod: [], node: [], hasReplyMarks: false, links: ['eth0', 'cali5b1e'] });
  });

  it('leaves what other interfaces of the pod are tied by', () => {
    const model = new CoordinationModel();
    join(model, 'eth0', 'macvlan');
    const before = left(model);
    join(model, 'net1', 'second');
    untie(model, 'net1', false);
    expect(left(model)).toEqual(before);
    expect(tie(model, 'eth0').operations).toEqual([]);
  });

  it.each([
    ['made', `orbweaver:${containerID}/eth0`],
    ['lent', `orbweaver:lent/${containerID}/eth0`],
  ])('leaves the routes of interfaces that we %s and that are not tied', (_, alias) => {
    const model = new CoordinationModel();
    model.addNic('eth0', { addresses: ['10.70.8.20/22'], gateways: [], link: { alias } });
    const route = { dst: '0.0.0.0/0', gateway: '10.70.8.1', ifName: 'eth0', table: 254, protocol: 79, metric: 0 };
    model.pod.routes.push(route);
    untie(model, 'net1', true);
    expect(left(model).pod).toEqual([route]);
  });

  it('takes no link away that another sandbox, or nobody, has marked', () => {
    const model = new CoordinationModel();
    join(model, 'eth0', 'macvlan');
    const plan = planUntying(model.observe('eth0'), { containerID: 'another', ifName: 'eth0', isLast: true });
    expect(plan.filter(({ op }) => op === 'delete-veth')).toEqual([]);
  });
});
