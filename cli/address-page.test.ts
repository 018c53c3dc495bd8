import { describe, expect, it } from '@jest/globals';
import { type Address, parseAddress } from '../ipam/address.ts';
import type { PoolObject } from '../ipam/pool-snapshot.ts';
import { type AddressEvidence, addressPage, renderAddress } from './address-page.ts';
import type { RunSummary } from './explanation.ts';
import { plain } from './paint.ts';
import { claimOf } from './testing/claims.ts';
import { golden } from './testing/golden.ts';
import { wallClock } from './wall-clock.ts';

const at = (text: string): number => Date.parse(`2026-11-21T${text}Z`);
const clock = wallClock(at('15:00:00'), 'UTC');
const addressOf = (text: string): Address => {
  const address = parseAddress(text);
  if (address === undefined) throw new Error(`${text} is no address`);
  return address;
};
const poolOf = (name: string, spec: Partial<PoolObject['spec']> = {}): PoolObject => ({
  metadata: { name },
  spec: { subnet: '10.70.8.0/22', ips: ['10.70.8.20-10.70.8.90'], gateway: '10.70.8.1', ...spec },
});
const runOf = (containerID: string, some: Partial<RunSummary> = {}): RunSummary => ({
  workflowID: `pod/pay/api-0/${containerID}`,
  runID: `run-of-${containerID}`,
  containerID,
  startedAtMs: at('12:03:11'),
  status: 'RUNNING',
  node: 'r7-n1',
  addresses: ['10.70.8.20'],
  ...some,
});
const sandbox = `5b1d${'0'.repeat(60)}`;
const claim = claimOf('10.70.8.20');
const nothing: AddressEvidence = {
  claim: undefined,
  pools: [poolOf('rack7-v4')],
  reservations: [],
  runs: [],
  withoutPod: [],
  warnings: [],
};
const pageOf = (text: string, evidence: Partial<AddressEvidence> = {}) =>
  addressPage(addressOf(text), { ...nothing, ...evidence });
const printed = (text: string, evidence: Partial<AddressEvidence> = {}): string =>
  renderAddress(pageOf(text, evidence), clock, plain);

describe('an address', () => {
  it('that a pod has and others had prints as a page', async () => {
    const text = printed('10.70.8.20', {
      claim: { ...claim, metadata: { ...claim.metadata, creationTimestamp: '2026-11-21T12:03:11Z' } },
      pools: [poolOf('rack7-v4'), poolOf('rack8-v4', { excludeIPs: ['10.70.8.20'], disable: true })],
      runs: [
        runOf(sandbox),
        runOf('77aa', {
          workflowID: 'pod/batch/job-x/77aa',
          status: 'COMPLETED',
          startedAtMs: at('11:00:00') - 86_400_000,
          closedAtMs: at('11:59:59'),
        }),
      ],
    });
    expect(text).toBe(await golden('ip-bound.txt', text));
  });

  it('whose claim and runs contradict each other says so', async () => {
    const text = printed('10.70.8.20', { claim, runs: [runOf('77aa')], withoutPod: ['pay/api-0'] });
    expect(text).toBe(await golden('ip-contradicting.txt', text));
  });

  it('that is free prints what may give it', async () => {
    const { runs: _, ...evidence } = nothing;
    const warnings = ['Who had it is not shown. Cannot ask Temporal at 127.0.0.1:7233: refused'];
    const text = renderAddress(addressPage(addressOf('10.70.8.20'), { ...evidence, warnings }), clock, plain);
    expect(text).toBe(await golden('ip-free.txt', text));
  });

  it('is the same in every spelling of IPv6', () => {
    const pool = poolOf('v6', { subnet: 'fd00:70:8::/64', ips: ['fd00:70:8::10-fd00:70:8::20'], gateway: undefined });
    const pages = ['fd00:70:8::14', 'FD00:0070:8:0:0:0:0:0014'].map((text) => pageOf(text, { pools: [pool] }));
    expect(pages[0]).toMatchObject({ address: 'fd00:70:8::14', pools: [{ standing: 'candidate' }] });
    expect(pages[1]).toEqual(pages[0]);
  });
});

describe('what a pool does with an address', () => {
  const reservations = [{ metadata: { name: 'printers' }, spec: { ips: ['10.70.8.30-10.70.8.31'] } }];
  it.each([
    ['10.70.8.21', 'candidate'],
    ['10.70.8.22', 'excluded'],
    ['10.70.8.30', 'reserved'],
    ['10.70.8.1', 'gateway'],
    ['10.70.9.1', 'outside'],
  ])('%s is %s', (text, standing) => {
    const pools = [poolOf('rack7-v4', { excludeIPs: ['10.70.8.22'] })];
    expect(pageOf(text, { pools, reservations }).pools).toMatchObject([{ name: 'rack7-v4', standing }]);
  });

  it('names the reservation', () => {
    expect(printed('10.70.8.30', { reservations })).toContain('reserved by printers');
  });

  it('is unknown of a malformed one, and nothing of one with another subnet', () => {
    const pools = [
      poolOf('wrong', { ips: ['10.70.8.9-10.70.8.2'] }),
      poolOf('far', { subnet: '10.9.0.0/16', ips: [], gateway: undefined }),
    ];
    expect(pageOf('10.70.8.20', { pools }).pools).toMatchObject([{ name: 'wrong', standing: 'malformed' }]);
  });
});

describe('claim and runs', () => {
  it.each<[string, Partial<AddressEvidence>]>([
    ['when the open run is of the sandbox that has it', { claim, runs: [runOf(sandbox)] }],
    ['when a Held claim has no run', { claim: claimOf('10.70.8.20', { phase: 'Held' }) }],
    ['when nobody has it and all runs have ended', { runs: [runOf('77aa', { status: 'COMPLETED' })] }],
  ])('agree %s', (_, evidence) => {
    expect(pageOf('10.70.8.20', evidence).warnings).toEqual([]);
  });

  it('are not compared when Temporal could not be asked', () => {
    const { runs: _, ...evidence } = nothing;
    expect(addressPage(addressOf('10.70.8.20'), { ...evidence, claim }).warnings).toEqual([]);
  });

  it('contradict each other when a living pod has the address and no run is open', () => {
    expect(pageOf('10.70.8.20', { claim }).warnings).toEqual([expect.stringContaining('the run was terminated')]);
  });
});
