import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { IPAMClaim, IPAMClaimStatus } from '../contracts/ipam-claim.ts';
import type { ApiClient, ApiRequest } from './api-client.ts';
import { ApiError, ApiUnreachable } from './api-error.ts';
import type { ClaimRow } from './claim-feed.ts';
import { IPAMClaimPublisher } from './publish-ipam-claims.ts';
import { silent } from './testing/claim-fixtures.ts';

const collection = '/apis/k8s.cni.cncf.io/v1alpha1/ipamclaims';
const ofPod = '/apis/k8s.cni.cncf.io/v1alpha1/namespaces/pay/ipamclaims';

/** An API server with IPAMClaims of namespace "pay", which keeps the rule of resourceVersion and tells who watches. */
class Server implements ApiClient {
  readonly objects = new Map<string, IPAMClaim>();
  readonly writes: string[] = [];
  isKindThere = true;
  /** How often somebody asked whether there is such a kind. */
  looks = 0;
  /** Of `status.ownerPod`, by the version of the kind: an object since v0.5.1-alpha, before that a string that has to be there. */
  ownerForm: 'object' | 'string' = 'object';
  refused = 0;
  /** Called before and after the next write takes effect: what it throws is what the writer gets. */
  onWrite: ((at: 'before' | 'after') => void) | undefined;
  #revision = 0;
  #tell: (event: object) => void = () => undefined;

  put(name: string, some: Partial<IPAMClaim> = {}): void {
    const metadata = { name, namespace: 'pay', resourceVersion: `${++this.#revision}` };
    const object: IPAMClaim = { apiVersion: 'k8s.cni.cncf.io/v1alpha1', kind: 'IPAMClaim', metadata, ...some };
    this.objects.set(name, object);
    this.#tell({ type: 'MODIFIED', object });
  }

  /** With all that there is of it; who watches is told no more. */
  removeKind(): void {
    this.isKindThere = false;
    this.objects.clear();
    this.#tell({});
  }

  statusOf(name: string): IPAMClaimStatus | undefined {
    return this.objects.get(name)?.status;
  }

  async request<Answer>({ method, path, body, query }: ApiRequest): Promise<Answer> {
    await Promise.resolve();
    const refuse = (status: number): ApiError => new ApiError({ request: path, status, reason: '', detail: path });
    if (path === collection) {
      if (query?.['limit'] === 1) this.looks += 1;
      if (!this.isKindThere) throw refuse(404);
      return { metadata: { resourceVersion: `${this.#revision}` }, items: [...this.objects.values()] } as Answer;
    }
    const name = path.slice(ofPod.length + 1).replace('/status', '');
    const found = this.objects.get(name);
    if (found === undefined) throw refuse(404);
    if (method === 'GET') return structuredClone(found) as Answer;
    const { metadata, status } = body as IPAMClaim;
    this.onWrite?.('before');
    if (metadata.resourceVersion !== this.objects.get(name)?.metadata.resourceVersion) throw refuse(409);
    const { ownerPod } = status ?? {};
    if (this.ownerForm === 'object' ? typeof ownerPod === 'string' : typeof ownerPod !== 'string') {
      this.refused += 1;
      throw refuse(422);
    }
    this.writes.push(`${method} ${path}`);
    this.put(name, { ...(status && { status }) });
    this.onWrite?.('after');
    return body as Answer;
  }

  async *watch<Event>({ signal }: { signal: AbortSignal }): AsyncIterable<Event> {
    if (!this.isKindThere) throw new ApiError({ request: collection, status: 404, reason: '', detail: 'no such page' });
    const waiting: object[] = [];
    let wake = (): void => undefined;
    this.#tell = (event) => {
      waiting.push(event);
      wake();
    };
    while (!signal.aborted && this.isKindThere) {
      yield* waiting.splice(0) as Event[];
      await new Promise<void>((resolve) => {
        wake = resolve;
        signal.addEventListener('abort', () => resolve(), { once: true });
      });
    }
  }

  async close(): Promise<void> {}
}

const claim = (name: string, address = '10.70.8.20/22', phase: ClaimRow['phase'] = 'Bound'): ClaimRow => ({
  address,
  pool: 'rack7',
  phase,
  createdAtSeconds: 1,
  identity: `IPAMClaim/pay/${name}`,
  holders: [{ pod: 'pay/vm-1-a', podUID: 'uid', interface: 'net1', node: 'n1', containerID: 'c1' }],
});

let server: Server;
let claims: Map<string, readonly ClaimRow[]>;
let publishers: { readonly publisher: IPAMClaimPublisher; readonly end: AbortController }[];
beforeEach(() => {
  server = new Server();
  claims = new Map();
  publishers = [];
});
afterEach(async () => {
  for (const { end, publisher } of publishers) {
    end.abort();
    await publisher.stop();
  }
});

/** A leader, which `dies` with its first write or with the answer to it. */
function lead(dies?: 'before' | 'after'): IPAMClaimPublisher {
  const end = new AbortController();
  server.onWrite = (at) => {
    if (at !== dies) return;
    end.abort();
    throw new ApiUnreachable('write', 'died');
  };
  const request = async <Answer>(wanted: Omit<ApiRequest, 'timeoutMs'>): Promise<Answer> => {
    if (end.signal.aborted) throw new ApiUnreachable(wanted.path, 'dead');
    return await server.request<Answer>({ ...wanted, timeoutMs: 1000 });
  };
  const publisher = new IPAMClaimPublisher({
    api: server,
    request,
    claims: { ofIPAMClaim: (name) => claims.get(name) ?? [], ipamClaims: () => claims.keys() },
    log: silent,
    now: () => Date.parse('2026-11-22T02:00:00Z'),
    lookForKindMs: 10,
  });
  publishers.push({ publisher, end });
  void publisher.follow(end.signal);
  publisher.start();
  return publisher;
}

async function until(what: string, isSo: () => boolean): Promise<void> {
  const deadline = Date.now() + 30_000;
  while (!isSo()) {
    if (Date.now() > deadline) throw new Error(`${what} never came: ${JSON.stringify([...server.objects])}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
const has =
  (name: string, ...ips: readonly string[]) =>
  (): boolean =>
    server.statusOf(name)?.ips?.join() === ips.join();

describe('the status of an IPAMClaim that is published', () => {
  it('is written when its addresses are claimed, and again when they are not', async () => {
    server.put('first');
    const publisher = lead();
    claims.set('pay/first', [claim('first')]);
    publisher.concern('pay/first');
    await until('the address', has('first', '10.70.8.20/22'));
    claims.delete('pay/first');
    publisher.concern('pay/first');
    await until('no address', has('first'));
    expect(server.writes).toEqual(Array(2).fill(`PUT ${ofPod}/first/status`));
  });

  it('comes when the IPAMClaim is made, or made anew, after its addresses were claimed', async () => {
    claims.set('pay/first', [claim('first')]);
    lead().concern('pay/first');
    server.put('other');
    await new Promise(setImmediate);
    server.put('first');
    await until('the address', has('first', '10.70.8.20/22'));
    server.put('first', {});
    await until('the address again', has('first', '10.70.8.20/22'));
    expect(server.statusOf('other')).toBeUndefined();
  });

  it('waits for the kind, which may come later', async () => {
    server.isKindThere = false;
    claims.set('pay/first', [claim('first')]);
    lead();
    await until('the second look', () => server.looks === 2);
    server.isKindThere = true;
    server.put('first');
    await until('the address', has('first', '10.70.8.20/22'));
  });

  it('waits for the kind again when that is taken away', async () => {
    claims.set('pay/first', [claim('first')]);
    server.put('first');
    lead();
    await until('the address', has('first', '10.70.8.20/22'));
    server.removeKind();
    await until('the third look', () => server.looks === 3);
    server.isKindThere = true;
    server.put('first');
    await until('the address again', has('first', '10.70.8.20/22'));
    expect(server.writes).toHaveLength(2);
  });

  it('has the owner as the kind wants it, also when another version of that comes', async () => {
    server.ownerForm = 'string';
    const publisher = lead();
    const written = async (name: string): Promise<IPAMClaimStatus['ownerPod']> => {
      server.put(name);
      claims.set(`pay/${name}`, [claim(name)]);
      publisher.concern(`pay/${name}`);
      await until('the address', has(name, '10.70.8.20/22'));
      return server.statusOf(name)?.ownerPod;
    };
    expect([await written('first'), await written('second'), server.refused]).toEqual(['vm-1-a', 'vm-1-a', 1]);
    claims.delete('pay/first');
    publisher.concern('pay/first');
    await until('no address', has('first'));
    expect([server.statusOf('first')?.ownerPod, server.refused]).toEqual(['', 1]);
    server.ownerForm = 'object';
    expect([await written('third'), await written('fourth')]).toEqual([{ name: 'vm-1-a' }, { name: 'vm-1-a' }]);
    expect(server.refused).toBe(2);
  });

  it('is put right when somebody else changes it', async () => {
    claims.set('pay/first', [claim('first')]);
    server.put('first');
    lead();
    await until('the address', has('first', '10.70.8.20/22'));
    server.put('first', { status: { ips: ['10.9.9.9/24'], ownerPod: 'nobody' } });
    await until('the address again', has('first', '10.70.8.20/22'));
  });

  it.each(['before', 'after'] as const)(
    'is complete, and written once, when the leader dies %s its write takes effect',
    async (moment) => {
      claims.set('pay/first', [claim('first')]);
      server.put('first');
      lead(moment);
      await until('the death', () => publishers[0]?.end.signal.aborted === true);
      lead();
      await until('the address', has('first', '10.70.8.20/22'));
      expect(server.writes).toHaveLength(1);
    },
  );

  it('is written on what the IPAMClaim is by then: a leader that is late changes nothing', async () => {
    claims.set('pay/first', [claim('first')]);
    server.put('first');
    lead();
    let isFirst = true;
    const theirs = {
      type: 'Ready',
      status: 'True',
      reason: 'Theirs',
      message: '',
      lastTransitionTime: 'then',
    } as const;
    server.onWrite = (at) => {
      if (!isFirst || at === 'after') return;
      isFirst = false;
      server.put('first', { status: { ips: [], conditions: [theirs] } });
    };
    await until('the address', has('first', '10.70.8.20/22'));
    expect(server.statusOf('first')?.conditions?.map(({ type }) => type)).toEqual(['Ready', 'IPsAllocated']);
  });
});
