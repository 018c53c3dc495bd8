import { describe, expect, it } from '@jest/globals';
import type { IPClaim } from '../../contracts/crds/ipclaim.ts';
import { pools } from './pools.ts';
import { asAnother, strangerOf, strangersClaim } from './stranger.ts';

const pool = { ...pools.elsewhere, used: 1000 };
const podUID = '9a1f4c52-0b7e-4c0e-8d0f-6d2b2f3f0a11';
const first = strangerOf(pool, 0);
const claim = JSON.stringify(strangersClaim(pool, first, podUID));

describe('strangers', () => {
  it('have names of one length, and addresses of their own within the range', () => {
    const all = Array.from({ length: pool.used }, (_, index) => strangerOf(pool, index));
    expect(new Set(all.map(({ address }) => address)).size).toBe(pool.used);
    expect(new Set(all.map(({ name }) => name.length)).size).toBe(1);
    expect([all[0]?.address, all.at(-1)?.address]).toEqual(['10.96.0.2', '10.111.251.230']);
  });

  it('are copied whole: what is left of the first one is what all of them share', () => {
    const other = strangerOf(pool, 7);
    const stored = [{ key: `/registry/orbweaver.io/ipclaims/${first.address}`, value: claim }];
    const [copy] = asAnother({ stranger: first, stored, uids: [podUID] }, other);
    expect(copy?.key).toBe(`/registry/orbweaver.io/ipclaims/${other.address}`);
    const made = JSON.parse(copy?.value ?? '') as IPClaim;
    const newUID = made.spec.holders[0]?.podUID ?? '';
    expect(made).toEqual(strangersClaim(pool, other, newUID));
    expect(newUID).toMatch(/^[0-9a-f-]{36}$/);
    expect(newUID).not.toBe(podUID);
  });

  it('keep the length of what is replaced in a pod, whose bytes count', () => {
    const pod = `k8s\0\n\u000f${first.name}\u0012$${podUID}\u001a`;
    const [copy] = asAnother(
      { stranger: first, stored: [{ key: 'k', value: pod }], uids: [podUID] },
      strangerOf(pool, 7),
    );
    expect(copy?.value).toHaveLength(pod.length);
    expect(copy?.value).not.toContain(first.name);
  });
});
