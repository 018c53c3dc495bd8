import type { TestEvent } from 'node:test/reporters';

/** How one test of `node --test` ended. */
export type TestEnd = { readonly fullName: string; readonly seconds: number } & (
  | { readonly outcome: 'passed' }
  | { readonly outcome: 'failed'; readonly error: unknown }
  | { readonly outcome: 'skipped'; readonly reason: string }
);

/** Failures of a suite that only say that one of its tests failed. */
const tellsOfItsTests = 'subtestsFailed';

/**
 * The ends of tests, in the order in which they are reported. A suite is none, unless it failed by itself: in a hook, or because its
 * file cannot be loaded. Full names are as Jest's: those of the suites around it, then its own.
 */
export async function* testEnds(events: AsyncIterable<TestEvent>): AsyncGenerator<TestEnd> {
  const names = new Map<number, string>();
  for await (const { type, data } of events) {
    if (type === 'test:enqueue') {
      const around = data.parentId === undefined ? undefined : names.get(data.parentId);
      names.set(data.testId, around === undefined ? data.name : `${around} ${data.name}`);
    }
    if (type !== 'test:pass' && type !== 'test:fail') continue;
    const end = { fullName: names.get(data.testId) ?? data.name, seconds: data.details.duration_ms / 1000 };
    const isSuite = data.details.type === 'suite';
    if (type === 'test:fail') {
      const { failureType, cause } = data.details.error as Error & { readonly failureType?: string };
      if (!isSuite || failureType !== tellsOfItsTests)
        yield { ...end, outcome: 'failed', error: cause ?? data.details.error };
    } else if (data.skip !== undefined || data.todo !== undefined) {
      const said = data.skip ?? data.todo;
      if (!isSuite)
        yield { ...end, outcome: 'skipped', reason: typeof said === 'string' ? said : 'no reason is given' };
    } else if (!isSuite) yield { ...end, outcome: 'passed' };
  }
}
