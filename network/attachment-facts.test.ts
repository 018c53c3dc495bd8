import { describe, expect, it } from '@jest/globals';
import { attachmentFacts } from './attachment-facts.ts';
import { planCoordination } from './coordination/plan-coordination.ts';
import { CoordinationModel } from './coordination/testing/coordination-model.ts';
import { join, overlayPod, request } from './coordination/testing/pod-shapes.ts';
import { foresee } from './foresee.ts';

const scope = { ifName: 'eth0', isTied: true, onNode: [] };
function underlayPod(): CoordinationModel {
  const model = new CoordinationModel();
  join(model, 'eth0', 'macvlan');
  return model;
}
/** What explain shows: found, and found with what is missing planned again. */
function look(model: CoordinationModel, ifName = 'eth0') {
  const found = model.observe(ifName);
  const plan = planCoordination(found, request(ifName));
  if (plan.outcome !== 'plan') throw new Error(JSON.stringify(plan));
  return attachmentFacts(found, foresee(found, plan.operations), { ...scope, ifName });
}
const wrong = (facts: ReturnType<typeof look>): string[] =>
  facts.filter(({ state }) => state !== 'right').map(({ at, what, state }) => `${state}: ${at} ${what}`);

describe('the facts of an attachment', () => {
  it('are its links, addresses, routes of all tables, rules, neighbours and settings', () => {
    const facts = look(underlayPod());
    expect(wrong(facts)).toEqual([]);
    const texts = facts.map(({ at, what }) => `${at} ${what}`);
    expect(texts).toEqual(
      expect.arrayContaining([
        'pod link eth0 macvlan mtu 1500 up',
        'pod address 10.70.8.20/22 dev eth0',
        'pod route default via 10.70.8.1 dev eth0 proto 3',
        'pod route 10.70.8.2/32 dev veth0 table 101 src 10.70.8.20 proto 79',
        'pod rule fwmark 0x1 lookup 100 pref 1000 proto 79',
        'pod rule -6 fwmark 0x1 lookup 100 pref 1000 proto 79',
        'pod sysctl net.ipv4.conf.eth0.rp_filter=0',
        'pod nftables table inet orbweaver',
        'node route 10.70.8.20/32 dev veth5b1e0011223 table 500 proto 79',
        'node rule lookup 500 pref 1000 proto 79',
      ]),
    );
  });

  it('leave out what another interface of the pod has', () => {
    const model = overlayPod();
    join(model, 'net1', 'macvlan');
    join(model, 'net2', 'second');
    const texts = look(model, 'net1').map(({ what }) => what);
    expect(texts.filter((what) => what.includes('net2') || what.includes('10.71.'))).toEqual([]);
    expect(texts).toContain('rule from 10.70.8.20/32 lookup 101 pref 32765 proto 79');
  });

  it('mark what is gone as missing, and what stands in its place as surplus', () => {
    const model = underlayPod();
    model.apply([
      { op: 'set-down', at: 'pod', ifName: 'veth0' },
      { op: 'set-sysctl', key: 'net.ipv4.conf.eth0.rp_filter', value: '1', was: '0' },
      { op: 'delete-reply-marks' },
    ]);
    model.node.routes = model.node.routes.filter(({ dst }) => dst !== '10.70.8.20/32');
    const alias = 'alias orbweaver:5b1e00112233445566/veth0';
    expect(wrong(look(model)).toSorted()).toEqual([
      'missing: node route 10.70.8.20/32 dev veth5b1e0011223 table 500 proto 79',
      `missing: pod link veth0 veth mtu 1500 up ${alias}`,
      'missing: pod nftables table inet orbweaver',
      'missing: pod sysctl net.ipv4.conf.eth0.rp_filter=0',
      `surplus: pod link veth0 veth mtu 1500 down ${alias}`,
      'surplus: pod sysctl net.ipv4.conf.eth0.rp_filter=1',
    ]);
  });
});
