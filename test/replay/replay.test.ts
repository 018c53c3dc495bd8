import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Worker } from '@temporalio/worker';
import { fromHistoryJson } from '../testing/history-json.ts';
import { bundleToday, installQuietRuntime } from '../testing/sandbox-stage.ts';

const histories = join(import.meta.dirname, 'histories');
const versions = readdirSync(histories);

let bundle: Awaited<ReturnType<typeof bundleToday>>;
beforeAll(async () => {
  installQuietRuntime();
  bundle = await bundleToday();
}, 60_000);
afterAll(() => bundle?.remove());

describe.each(versions)('runs that %s recorded', (version) => {
  const files = readdirSync(join(histories, version)).filter((name) => name.endsWith('.json'));
  const textOf = (name: string): string => readFileSync(join(histories, version, name), 'utf8');

  it("go on as they began with today's workflows", async () => {
    const recorded = files.map((name) => ({ workflowId: name, history: fromHistoryJson(textOf(name)) }));
    const seen: string[] = [];
    for await (const { workflowId, error } of Worker.runReplayHistories({ workflowBundle: bundle }, recorded)) {
      seen.push(`${workflowId}: ${error?.message ?? 'replays'}`);
    }
    expect(seen.sort()).toEqual(files.map((name) => `${name}: replays`).sort());
  }, 60_000);

  it('would be found out if they did not', async () => {
    const today = textOf('two-nics-and-their-dels.json');
    const changed = today.replaceAll(/"[\w+/]+=*"/g, (text) => edited(text));
    expect(changed).not.toBe(today);
    const recorded = [{ workflowId: 'changed', history: fromHistoryJson(changed) }];
    for await (const { error } of Worker.runReplayHistories({ workflowBundle: bundle }, recorded)) {
      expect(error?.message).toMatch(/[Nn]ondeterminism|nondeterministic/);
    }
    expect.hasAssertions();
  }, 60_000);
});

/** The same base64 text, with another first activity in the markers that name it. */
function edited(text: string): string {
  const plain = Buffer.from(text, 'base64').toString();
  if (!plain.includes('"activity_type":"claimAddresses"')) return text;
  return JSON.stringify(Buffer.from(plain.replace('claimAddresses', 'chooseAddress')).toString('base64'));
}
