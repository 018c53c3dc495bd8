import { describe, expect, it } from '@jest/globals';
import { toCniResult } from '../contracts/cni-result.ts';
import { expectGolden } from '../test/testing/golden-file.ts';
import { SandboxState, toMarkdown } from './sandbox-state.ts';
import { addRequest, claimed } from './testing/node-model.ts';

const eth0 = addRequest('eth0').attachment;
const net1 = addRequest('net1').attachment;
const attached = { addresses: [claimed], result: toCniResult([claimed]) };
const exhausted = {
  type: 'PoolExhausted',
  message: 'Cannot claim an IPv4 address from pool "rack7-v4": all 3 are in use',
  remedy: 'Extend spec.ips of SpiderIPPool "rack7-v4", or see who holds them: orb pools rack7-v4',
} as const;

describe('what a run knows of its sandbox', () => {
  it('gives a repeated ADD the answer of the first', () => {
    const sandbox = new SandboxState(addRequest());
    sandbox.enter(eth0, 'Attaching');
    expect(sandbox.resultOf(eth0)).toBeUndefined();
    sandbox.attached(eth0, attached);
    expect(sandbox.resultOf(eth0)).toBe(attached.result);
    expect(sandbox.resultOf({ ...eth0, kind: 'coordinate' })).toBeUndefined();
  });

  it('has no answer any more once the attachment is going', () => {
    const sandbox = new SandboxState(addRequest());
    sandbox.attached(eth0, attached);
    sandbox.enter(eth0, 'Detaching');
    expect(sandbox.resultOf(eth0)).toBeUndefined();
    expect(sandbox.describe().interfaces[0]?.addresses).toEqual([claimed]); // until they are released
  });

  it('is empty when nothing needs a DEL: gone, or failed and undone', () => {
    const sandbox = new SandboxState(addRequest());
    expect(sandbox.isEmpty).toBe(true);
    sandbox.enter(eth0, 'Attaching');
    expect(sandbox.isEmpty).toBe(false);
    sandbox.failed(eth0, exhausted);
    expect(sandbox.isEmpty).toBe(true);
    sandbox.attached(net1, attached);
    expect(sandbox.isEmpty).toBe(false);
    sandbox.remove(net1);
    expect(sandbox.isEmpty).toBe(true);
  });

  it('shows an undo that is stuck as such', () => {
    const sandbox = new SandboxState(addRequest());
    sandbox.failed(eth0, { type: 'UnwindStuck', message: 'Cannot undo step "link"' });
    expect(sandbox.describe().interfaces[0]?.phase).toBe('UnwindStuck');
  });
});

describe('the current details of a run', () => {
  it('are a page that a person can read', () => {
    const sandbox = new SandboxState(addRequest());
    sandbox.attached(eth0, attached);
    sandbox.enter(net1, 'Attaching');
    sandbox.failed({ ...net1, ifName: 'net2' }, exhausted);
    expectGolden(new URL('testdata/current-details.md', import.meta.url), `${toMarkdown(sandbox.describe())}\n`);
  });
});
