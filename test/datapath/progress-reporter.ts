import type { TestEvent } from 'node:test/reporters';
import { inspect } from 'node:util';
import { testEnds } from './test-ends.ts';

/** Reporter of `node --test` for whoever watches: a line for each test as it ends. */
export default async function* progress(events: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  for await (const end of testEnds(events)) {
    const what = `${end.fullName} (${end.seconds.toFixed(1)} s)`;
    if (end.outcome === 'passed') yield `PASS ${what}\n`;
    else if (end.outcome === 'skipped') yield `SKIP ${end.fullName}: ${end.reason}\n`;
    else yield `FAIL ${what}\n${textOf(end.error).replace(/^/gm, '     ')}\n`;
  }
}

const textOf = (error: unknown): string =>
  error instanceof Error && error.stack !== undefined ? error.stack : inspect(error);
