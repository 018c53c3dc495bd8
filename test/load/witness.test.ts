import { describe, expect, it } from '@jest/globals';
import type { IPClaim } from '../../contracts/crds/ipclaim.ts';
import { ClaimHistory } from './claim-history.ts';
import { StoreClock } from './store-clock.ts';
import { Witness } from './witness.ts';

const address = '10.70.8.20/16';
const other = '10.70.8.21/16';

const claimOf = (containerID: string, on = address, phase: IPClaim['spec']['phase'] = 'Bound'): IPClaim => ({
  apiVersion: 'orbweaver.io/v1alpha1',
  kind: 'IPClaim',
  metadata: { name: on.split('/', 1).join() },
  spec: {
    address: on,
    pool: 'v4',
    phase,
    holders: [
      {
        namespace: 'pay',
        pod: 'api-0',
        podUID: '9c1f',
        interface: 'eth0',
        network: 'underlay',
        containerID,
        netns: `/run/netns/${containerID}`,
        netnsCookie: '1',
        node: 'n1',
        machineID: 'm',
        bootID: 'b',
      },
    ],
  },
});

/** What happened, told as a story in which every moment is a number. A change is committed and told of at its moment. */
class Story {
  readonly #clock = new StoreClock();
  readonly #claims = new ClaimHistory(this.#clock);
  readonly witness = new Witness(this.#claims, [{ name: 'v4', size: 2 }]);

  claim(atMs: number, type: 'ADDED' | 'MODIFIED' | 'DELETED', claim: IPClaim): this {
    this.#clock.add({ beganAtMs: atMs - 0.1, endedAtMs: atMs, revision: atMs - 1 });
    this.#claims.add({ type, claim, revision: atMs, arrivedAtMs: atMs });
    return this;
  }

  add(containerID: string, fromMs: number, untilMs: number, ...addresses: readonly string[]): this {
    this.witness.ended(this.witness.began('ADD', containerID, fromMs), { exitCode: 0, addresses }, untilMs);
    return this;
  }

  exhausted(containerID: string, fromMs: number, untilMs: number): this {
    const message = 'Cannot claim an IPv4 address from pool "v4": all 2 are in use';
    const answer = { exitCode: 1, addresses: [], failure: 'PoolExhausted', message };
    this.witness.ended(this.witness.began('ADD', containerID, fromMs), answer, untilMs);
    return this;
  }

  del(containerID: string, fromMs: number, untilMs: number): this {
    this.witness.ended(this.witness.began('DEL', containerID, fromMs), { exitCode: 0, addresses: [] }, untilMs);
    return this;
  }

  look(containerID: string, atMs: number, ...addresses: readonly string[]): this {
    this.witness.looked(containerID, addresses, { earliestMs: atMs, latestMs: atMs + 1 });
    return this;
  }

  get violations(): string {
    return this.witness
      .violations()
      .map(({ sentence }) => sentence)
      .join('\n');
  }
}

describe('a witness of load', () => {
  it('has nothing to say when each address has one sandbox after the other', () => {
    const story = new Story()
      .claim(12, 'ADDED', claimOf('a'))
      .add('a', 10, 20, address)
      .look('a', 22, address)
      .del('a', 30, 40)
      .claim(35, 'DELETED', claimOf('a'))
      .look('a', 41)
      .claim(45, 'ADDED', claimOf('b'))
      .add('b', 43, 50, address)
      .look('b', 51, address);
    expect(story.violations).toBe('');
    expect(story.witness.proven).toEqual({ answered: 2, looked: 2 });
  });

  it('counts an answer that nobody looked at', () => {
    const story = new Story().claim(12, 'ADDED', claimOf('a')).add('a', 10, 20, address).del('a', 30, 40);
    expect(story.witness.proven).toEqual({ answered: 1, looked: 0 });
  });

  it('tells of an address that is in two sandboxes, even when no look shows both', () => {
    const story = new Story()
      .claim(12, 'ADDED', claimOf('a'))
      .add('a', 10, 20, address)
      .look('b', 25, address)
      .del('a', 30, 40);
    expect(story.violations).toContain(`${address} was in two sandboxes at once: a from`);
  });

  it('does not take for two what a slow look may have seen one after the other', () => {
    const { witness } = new Story();
    witness.looked('a', [address], { earliestMs: 10, latestMs: 30 });
    witness.looked('b', [address], { earliestMs: 12, latestMs: 14 });
    expect(witness.violations().map(({ sentence }) => sentence)).not.toContainEqual(
      expect.stringContaining('two sandboxes'),
    );
  });

  it.each([
    [
      'has no claim',
      new Story().look('a', 20, address).look('a', 30, address),
      `${address} was in a sandbox without its claim: a`,
    ],
    [
      'has the claim of another',
      new Story().claim(12, 'ADDED', claimOf('b')).look('a', 20, address),
      'was in a sandbox without its claim: a',
    ],
    [
      'is only held',
      new Story().claim(12, 'ADDED', claimOf('a', address, 'Held')).look('a', 20, address),
      'was in a sandbox without its claim: a',
    ],
    [
      'was released before it was gone',
      new Story()
        .claim(12, 'ADDED', claimOf('a'))
        .add('a', 10, 20, address)
        .del('a', 30, 50)
        .claim(35, 'DELETED', claimOf('a'))
        .look('a', 40, address),
      'was in a sandbox without its claim: a',
    ],
  ])('tells of an address that is in a sandbox and %s', (_, story, tells) => {
    expect(story.violations).toContain(tells);
  });

  it('tells of a claim that ends before the DEL begins', () => {
    const story = new Story()
      .claim(12, 'ADDED', claimOf('a'))
      .add('a', 10, 20, address)
      .claim(25, 'DELETED', claimOf('a'))
      .del('a', 30, 40);
    expect(story.violations).toContain(`${address} was answered to a and not claimed for it`);
  });

  it('tells of an ADD that was answered before its claim was written', () => {
    const story = new Story().add('a', 10, 20, address).claim(25, 'ADDED', claimOf('a')).del('a', 30, 40);
    expect(story.violations).toContain(`${address} was answered to a and not claimed for it`);
  });

  it('tells of a sandbox that has another address than was answered, or none', () => {
    const story = new Story().claim(12, 'ADDED', claimOf('a')).add('a', 10, 20, address).look('a', 25);
    expect(story.violations).toContain(`ADD answered ${address}, and in the sandbox is nothing`);
  });

  it('tells of a second ADD that is answered differently', () => {
    const story = new Story()
      .claim(12, 'ADDED', claimOf('a'))
      .claim(13, 'ADDED', claimOf('a', other))
      .add('a', 10, 20, address)
      .add('a', 30, 40, other);
    expect(story.violations).toContain(`a second ADD answered ${other} instead of ${address}`);
  });

  it('expects nothing of an ADD that a DEL overtook', () => {
    const { witness } = new Story();
    const adding = witness.began('ADD', 'a', 10);
    const deleting = witness.began('DEL', 'a', 12);
    witness.ended(deleting, { exitCode: 0, addresses: [] }, 20);
    witness.ended(adding, { exitCode: 0, addresses: [address] }, 21);
    witness.looked('a', [], { earliestMs: 25, latestMs: 26 });
    expect(witness.violations()).toEqual([]);
  });

  describe('believes "exhausted"', () => {
    const full = (): Story => new Story().claim(12, 'ADDED', claimOf('a')).claim(14, 'ADDED', claimOf('b', other));

    it('when all addresses were claimed at one moment of the ADD', () => {
      expect(full().exhausted('c', 10, 15).violations).toBe('');
      expect(full().exhausted('c', 13.5, 30).violations).toBe('');
      expect(full().claim(20, 'DELETED', claimOf('a')).exhausted('c', 19, 40).violations).toBe('');
    });

    it.each([
      ['before they were', full().exhausted('c', 5, 13)],
      ['after one was released', full().claim(20, 'DELETED', claimOf('a')).exhausted('c', 21, 40)],
      ['of none', new Story().exhausted('c', 5, 13)],
    ])('and not %s', (_, story) => {
      expect(story.violations).toContain('was free all the time');
    });
  });

  it('tells of a pool with more claims than addresses', () => {
    const story = new Story()
      .claim(12, 'ADDED', claimOf('a'))
      .claim(14, 'ADDED', claimOf('b', other))
      .claim(16, 'ADDED', claimOf('c', '10.70.8.22/16'));
    expect(story.violations).toContain('pool v4 has 2 addresses and had 3 claims');
  });
});
