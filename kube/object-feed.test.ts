import { afterEach, describe, expect, it } from '@jest/globals';
import type { ApiClient, ApiRequest, WatchRequest } from './api-client.ts';
import { ApiError, ApiUnreachable } from './api-error.ts';
import { type FedObject, ObjectFeed } from './object-feed.ts';
import { silent } from './testing/claim-fixtures.ts';

interface OpenWatch {
  readonly from: unknown;
  tell(type: 'ADDED' | 'DELETED', name: string): void;
  fail(): void;
}

/** Objects by name, lists of them, and watches that a test plays. */
class World {
  readonly names = new Set<string>();
  lists = 0;
  readonly asked: string[] = [];
  hasSecondPage = false;
  /** How often a page that is not the first gets no answer. */
  refusals = 0;
  isKindThere = true;
  #resourceVersion = 100;
  readonly #opened: ((watch: OpenWatch) => void)[] = [];
  readonly #waiting: OpenWatch[] = [];

  readonly api: ApiClient = {
    request: async <Answer>({ query = {} }: ApiRequest) => {
      this.#requireKind();
      const { continue: after } = query;
      this.asked.push(String(after ?? 'first page'));
      if (after !== undefined && this.refusals > 0) {
        this.refusals -= 1;
        throw new ApiUnreachable('list', 'lost');
      }
      if (after === undefined && this.hasSecondPage) {
        return { metadata: { resourceVersion: '100', continue: 'second page' }, items: [] } as Answer;
      }
      this.lists += 1;
      const items = [...this.names].map((name) => ({ metadata: { name } }));
      return { metadata: { resourceVersion: String(this.#resourceVersion) }, items } as Answer;
    },
    watch: <Event>(request: WatchRequest) => this.#watch(request) as AsyncIterable<Event>,
    close: async () => undefined,
  };

  /** The next watch that the feed opens. */
  opened(): Promise<OpenWatch> {
    const watch = this.#waiting.shift();
    return watch ? Promise.resolve(watch) : new Promise((resolve) => this.#opened.push(resolve));
  }

  #requireKind(): void {
    if (!this.isKindThere) throw new ApiError({ request: 'things', status: 404, reason: '', detail: 'no such page' });
  }

  async *#watch({ query, signal }: WatchRequest): AsyncIterable<unknown> {
    this.#requireKind();
    const events: unknown[] = [];
    let wake = (): void => undefined;
    const watch: OpenWatch = {
      from: query['resourceVersion'],
      tell: (type, name) => {
        this.#resourceVersion += 1;
        events.push({ type, object: { metadata: { name, resourceVersion: String(this.#resourceVersion) } } });
        wake();
      },
      fail: () => {
        events.push(new ApiUnreachable('watch', 'cut'));
        wake();
      },
    };
    const next = this.#opened.shift();
    if (next) next(watch);
    else this.#waiting.push(watch);
    signal.addEventListener('abort', () => wake(), { once: true });
    while (!signal.aborted) {
      const event = events.shift();
      if (event instanceof Error) throw event;
      if (event !== undefined) yield event;
      else await new Promise<void>((resolve) => (wake = resolve));
    }
  }
}

const stopped = new Set<AbortController>();
afterEach(() => {
  for (const one of stopped) one.abort();
  stopped.clear();
});

function follow(world: World, mayKindGo = false) {
  const changes: string[] = [];
  const feed = new ObjectFeed({
    api: world.api,
    path: '/things',
    rowOf: ({ metadata }: FedObject) => metadata.name,
    onChange: (key, before, after) => changes.push(`${key}: ${before ?? 'nothing'} → ${after ?? 'nothing'}`),
    log: silent,
    mayKindGo,
  });
  const ending = new AbortController();
  stopped.add(ending);
  const following = feed.follow(ending.signal);
  return { feed, changes, following, follow: () => feed.follow(ending.signal) };
}

describe('a feed', () => {
  it('has what was listed, and then what the watch tells', async () => {
    const world = new World();
    world.names.add('a');
    const { feed, changes } = follow(world);
    await feed.listed;
    const watch = await world.opened();
    expect(watch.from).toBe('100');
    watch.tell('ADDED', 'b');
    watch.tell('DELETED', 'a');
    await feed.refresh(); // nothing to wait for: it watches
    await new Promise(setImmediate);
    expect([...feed.rows.keys()]).toEqual(['b']);
    expect(changes).toEqual(['a: nothing → a', 'b: nothing → b', 'a: a → nothing']);
    expect(world.lists).toBe(1);
  });

  it('asks again for a page that did not come, and not for those before it', async () => {
    const world = new World();
    world.names.add('a');
    world.hasSecondPage = true;
    world.refusals = 1;
    const { feed } = follow(world);
    await feed.listed;
    expect(world.asked).toEqual(['first page', 'second page', 'second page']);
    expect([...feed.rows.keys()]).toEqual(['a']);
  });

  it('goes on where it was when its watch is cut, and says that it does not watch until it hears something', async () => {
    const world = new World();
    const { feed } = follow(world);
    const first = await world.opened();
    expect(feed.isWatching).toBe(true);
    first.fail();
    const second = await world.opened();
    expect([feed.isWatching, second.from, world.lists]).toEqual([false, '100', 1]);
    second.tell('ADDED', 'a');
    await new Promise(setImmediate);
    expect(feed.isWatching).toBe(true);
  });

  it('lists anew for whoever must know what there is now, when no watch says so', async () => {
    const world = new World();
    world.names.add('a');
    const { feed } = follow(world);
    (await world.opened()).fail();
    await world.opened();
    world.names.add('b');
    world.names.delete('a');
    await feed.refresh();
    expect([[...feed.rows.keys()], feed.isWatching, world.lists]).toEqual([['b'], true, 2]);
    (await world.opened()).tell('ADDED', 'c');
    await new Promise(setImmediate);
    expect([...feed.rows.keys()]).toEqual(['b', 'c']);
  });

  it('lists once for all who ask at the same time, also before its first list', async () => {
    const world = new World();
    const { feed } = follow(world);
    await Promise.all([feed.refresh(), feed.refresh()]);
    (await world.opened()).fail();
    await world.opened();
    await Promise.all([feed.refresh(), feed.refresh()]);
    expect(world.lists).toBe(2);
  });

  it('ends when its kind goes, if that may be, knows nothing from then on, and can begin anew', async () => {
    const world = new World();
    world.names.add('a');
    const { feed, changes, following, follow: again } = follow(world, true);
    const watch = await world.opened();
    world.isKindThere = false;
    watch.fail();
    await following;
    expect([[...feed.rows.keys()], feed.isWatching]).toEqual([[], false]);
    expect(changes).toEqual(['a: nothing → a', 'a: a → nothing']);
    world.isKindThere = true;
    world.names.add('b');
    void again();
    await world.opened();
    expect([[...feed.rows.keys()], feed.isWatching, world.lists]).toEqual([['a', 'b'], true, 2]);
  });
});
