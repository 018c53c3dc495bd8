import type { TestEvent } from 'node:test/reporters';
import type { TierResult } from '../testing/tier-report.ts';
import { testEnds } from './test-ends.ts';

/** Reporter of `node --test` for the runner of the tiers: one JSON object at the end, with the counts as a tier has them. */
export default async function* counts(events: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  let passed = 0;
  let failed = 0;
  const skipped: string[] = [];
  for await (const end of testEnds(events)) {
    if (end.outcome === 'passed') passed += 1;
    else if (end.outcome === 'failed') failed += 1;
    else skipped.push(`${end.fullName}: ${end.reason}`);
  }
  yield JSON.stringify({ passed, failed, skipped } satisfies Pick<TierResult, 'passed' | 'failed' | 'skipped'>);
}
