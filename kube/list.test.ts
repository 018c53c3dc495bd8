import { describe, expect, it } from '@jest/globals';
import type { ApiClient, ApiRequest } from './api-client.ts';
import { ApiError } from './api-error.ts';
import { listObjects, listTable } from './list.ts';
import { deadlineIn } from './persist.ts';

/** Answers lists from a script of pages and refusals, and notes where each request went on. */
class Pages implements ApiClient {
  readonly continued: unknown[] = [];
  readonly accepted: unknown[] = [];
  readonly #script: (object | ApiError)[];

  constructor(...script: (object | ApiError)[]) {
    this.#script = script;
  }

  async request<Answer>({ query, accept }: ApiRequest): Promise<Answer> {
    this.continued.push(query?.['continue']);
    this.accepted.push(accept);
    const next = this.#script.shift();
    if (next instanceof ApiError) throw next;
    return next as Answer;
  }

  // oxlint-disable-next-line require-yield -- nothing is watched here
  async *watch<Event>(): AsyncIterable<Event> {
    throw new Error('nothing is watched here');
  }

  async close(): Promise<void> {}
}

const page = (items: readonly string[], next = ''): object => ({
  metadata: { resourceVersion: '7', continue: next },
  items,
});
const expired = new ApiError({ request: 'GET /x', status: 410, reason: 'Expired', detail: 'too old' });

describe('a list', () => {
  it('goes on until the last page', async () => {
    const api = new Pages(page(['a', 'b'], 'p2'), page(['c']));
    expect(await listObjects(api, { path: '/x' }, deadlineIn(5000))).toEqual({
      items: ['a', 'b', 'c'],
      resourceVersion: '7',
    });
    expect(api.continued).toEqual([undefined, 'p2']);
  });

  it('begins again when the server has forgotten the moment of its first page', async () => {
    const api = new Pages(page(['a'], 'p2'), expired, page(['b'], 'p2'), page(['c']));
    expect((await listObjects(api, { path: '/x' }, deadlineIn(5000))).items).toEqual(['b', 'c']);
    expect(api.continued).toEqual([undefined, 'p2', undefined, 'p2']);
  });

  it('fails when its first page is refused', async () => {
    await expect(listObjects(new Pages(expired), { path: '/x' }, deadlineIn(5000))).rejects.toBe(expired);
  });

  it('gives the cells of a table under the names of its columns, also on later pages', async () => {
    const metadata = { resourceVersion: '7' };
    const columnDefinitions = [{ name: 'Name' }, { name: 'Phase' }];
    const api = new Pages(
      { metadata: { ...metadata, continue: 'p2' }, columnDefinitions, rows: [{ cells: ['a', 'Bound'] }] },
      { metadata, rows: [{ cells: ['b', null] }] },
    );
    expect(await listTable(api, { path: '/x' }, deadlineIn(5000))).toEqual([
      { Name: 'a', Phase: 'Bound' },
      { Name: 'b', Phase: null },
    ]);
    expect(api.accepted[0]).toBe('application/json;as=Table;v=v1;g=meta.k8s.io');
  });
});
