import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { type Attachment, attachmentKey, podNetworkId, updateId } from './attachment.ts';

const name = fc.stringMatching(/^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,15}$/);
const attachments: fc.Arbitrary<Attachment> = fc.record({
  containerID: name,
  network: name,
  ifName: name,
  kind: fc.constantFrom('prepare', 'attach', 'rdma', 'coordinate'),
});

describe('names of attachments', () => {
  it('tell any two attachments of one sandbox apart', () => {
    fc.assert(
      fc.property(attachments, attachments, (one, other) => {
        const isSame = one.network === other.network && one.ifName === other.ifName && one.kind === other.kind;
        expect(attachmentKey(one) === attachmentKey(other)).toBe(isSame);
      }),
    );
  });

  it("tell any two calls apart: a repeated call meets its own outcome and no other's", () => {
    const nonces = fc.constantFrom('a'.repeat(32), 'b'.repeat(32));
    fc.assert(
      fc.property(attachments, nonces, attachments, nonces, (one, nonce, other, otherNonce) => {
        const isSame = JSON.stringify([one, nonce]) === JSON.stringify([other, otherNonce]);
        expect(updateId('add', one, nonce) === updateId('add', other, otherNonce)).toBe(isSame);
        expect(updateId('add', one, nonce)).not.toBe(updateId('detach', one, nonce));
      }),
    );
  });

  it('give each sandbox of a pod a run of its own', () => {
    const pod = { namespace: 'pay', name: 'api-0', uid: 'u' };
    expect(podNetworkId(pod, 'c1')).toBe('pod/pay/api-0/c1');
    expect(podNetworkId(pod, 'c2')).not.toBe(podNetworkId(pod, 'c1'));
  });
});
