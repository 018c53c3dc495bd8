import { beforeEach, describe, expect, it } from '@jest/globals';
import { type PoolDemand, reserve, type SubnetLedger, type SubnetObject } from '../ipam/auto-pools/subnet-ledger.ts';
import type { ApiClient, ApiRequest } from './api-client.ts';
import { ApiError, ApiUnreachable } from './api-error.ts';
import { SubnetBook } from './subnet-book.ts';

const path = '/apis/spiderpool.spidernet.io/v2beta1/spidersubnets/rack7';

/** An API server with one Subnet, no pools and no reservations, which refuses writes that are based on something old. */
class OneSubnet implements ApiClient {
  subnet: SubnetObject & { metadata: { resourceVersion: string } } = {
    metadata: { name: 'rack7', resourceVersion: '1' },
    spec: { subnet: '10.70.8.0/24', ips: ['10.70.8.10-10.70.8.99'] },
  };
  writes = 0;
  /** Called with each write before it is looked at. */
  onWrite: () => void = () => undefined;

  async request<Answer>({ method, path: asked, body }: ApiRequest): Promise<Answer> {
    await Promise.resolve();
    if (asked.endsWith('spiderippools') || asked.endsWith('spiderreservedips')) {
      return { items: [], metadata: { resourceVersion: '1' } } as Answer;
    }
    if (!asked.startsWith(path)) throw new ApiError({ request: asked, status: 404, reason: 'NotFound', detail: '' });
    if (method === 'GET') return structuredClone(this.subnet) as Answer;
    this.onWrite();
    this.store(body as OneSubnet['subnet']);
    this.writes += 1;
    return this.subnet as Answer;
  }

  store(body: OneSubnet['subnet']): void {
    if (body.metadata.resourceVersion !== this.subnet.metadata.resourceVersion) {
      throw new ApiError({ request: path, status: 409, reason: 'Conflict', detail: '' });
    }
    const resourceVersion = String(Number(body.metadata.resourceVersion) + 1);
    this.subnet = { ...this.subnet, status: body.status ?? {}, metadata: { name: 'rack7', resourceVersion } };
  }

  // oxlint-disable-next-line require-yield -- nobody watches here
  async *watch<Event>(): AsyncIterable<Event> {
    throw new Error('nobody watches');
  }

  async close(): Promise<void> {}
}

let api: OneSubnet;
let book: SubnetBook;
beforeEach(() => {
  api = new OneSubnet();
  book = new SubnetBook({ api });
});
const take =
  (pool: string, size = 1) =>
  (ledger: SubnetLedger) => {
    const demand: PoolDemand = { pool, application: pool, size: BigInt(size), taken: [] };
    const outcome = reserve(ledger, demand);
    return outcome.outcome === 'reserved'
      ? { ledger: outcome.ledger, result: outcome.ips.intervals[0]?.first }
      : { ledger, result: undefined };
  };

describe('the record of a Subnet', () => {
  it('I00008: takes what comes at once in a handful of writes, and gives nobody what another has', async () => {
    const names = Array.from({ length: 60 }, (_, at) => `pool-${at}`);
    const outcomes = await Promise.all(names.map((name) => book.change('rack7', take(name))));
    const given = outcomes.map((outcome) => (outcome.outcome === 'changed' ? outcome.result : undefined));
    expect(new Set(given).size).toBe(60);
    expect(api.subnet.status?.allocatedIPCount).toBe(60);
    expect(api.writes).toBeLessThanOrEqual(3);
  });

  it('decides again when another process wrote between its read and its write', async () => {
    const other = new SubnetBook({ api });
    const [mine, theirs] = await Promise.all([
      book.change('rack7', take('mine')),
      other.change('rack7', take('theirs')),
    ]);
    expect(mine).not.toEqual(theirs);
    expect(Object.keys(JSON.parse(api.subnet.status?.controlledIPPools ?? '{}') as object).sort()).toEqual([
      'mine',
      'theirs',
    ]);
  });

  it('is written again when the answer was lost, to the same end', async () => {
    let lost = 0;
    const request = api.request.bind(api);
    api.request = async <Answer>(asked: ApiRequest): Promise<Answer> => {
      const answer = await request<Answer>(asked);
      lost += asked.method === 'PUT' ? 1 : 0;
      if (asked.method === 'PUT' && lost === 1) throw new ApiUnreachable('PUT', 'the answer was lost');
      return answer;
    };
    expect(await book.change('rack7', take('mine'))).toMatchObject({ outcome: 'changed' });
    expect(api.subnet.status?.allocatedIPCount).toBe(1);
  });

  it('is not written when nothing changes', async () => {
    await book.change('rack7', take('mine'));
    expect(await book.change('rack7', take('mine'))).toMatchObject({ outcome: 'changed' });
    expect(api.writes).toBe(1);
  });

  it('says when there is no such Subnet, or it cannot be read', async () => {
    expect(await book.change('rack8', take('mine'))).toEqual({ outcome: 'absent' });
    api.subnet = { ...api.subnet, spec: { subnet: 'nonsense' } };
    expect(await book.change('rack7', take('mine'))).toEqual({
      outcome: 'malformed',
      problem: 'spec.subnet "nonsense" is not a CIDR',
    });
  });

  it('that cannot be written fails everybody who waits, and then works again', async () => {
    book = new SubnetBook({ api, deadlineMs: 60 });
    api.onWrite = () => {
      throw new ApiUnreachable('PUT', 'refused');
    };
    const both = await Promise.allSettled([book.change('rack7', take('a')), book.change('rack7', take('b'))]);
    expect(both.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    api.onWrite = () => undefined;
    expect(await book.change('rack7', take('a'))).toMatchObject({ outcome: 'changed' });
  });
});
