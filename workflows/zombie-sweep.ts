import * as wf from '@temporalio/workflow';
import type { Sightings, Suspect, SweepActivities, SweepPlan, SweepReport, SweepVerdict } from '../contracts/sweep.ts';
import { fromTemporal } from '../temporal-config/failure-conversion.ts';
import { sweepTimeouts } from '../temporal-config/timeouts.ts';
import { toMarkdown } from './sweep-details.ts';

const { findSuspects } = wf.proxyActivities<SweepActivities>(sweepTimeouts.find);
const { checkNode } = wf.proxyActivities<SweepActivities>(sweepTimeouts.check);

/**
 * Finds claims and runs whose pod is not there, looks at them again after a pause, and asks the workers of their nodes, which
 * alone can prove that a sandbox is gone and take it away. Takes nothing away itself.
 */
export async function zombieSweep({ pauseMs, ...limits }: SweepPlan): Promise<SweepReport> {
  const found = await findSuspects(limits);
  const verdicts: SweepVerdict[] = [];
  const show = (state: string): void => wf.setCurrentDetails(toMarkdown(found, verdicts, state));
  show('second look after a pause');
  if (found.suspects.length > 0) {
    // What is only on its way (an ADD, a DEL, a mirror pod) has moved by then.
    await wf.sleep(pauseMs);
    await askNodes(found, verdicts, show);
  }
  show('done');
  const { suspects: _, ...seen } = found;
  return { ...seen, verdicts };
}

async function askNodes(
  { suspects }: Sightings,
  verdicts: SweepVerdict[],
  show: (state: string) => void,
): Promise<void> {
  const waiting = [...Map.groupBy(suspects, ({ node }) => node)];
  const askOneByOne = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      verdicts.push(...(await verdictsOf(...next)));
      show('asking the nodes');
    }
  };
  await Promise.all(Array.from({ length: nodesAtOnce }, askOneByOne));
}

/** Nodes that are asked side by side; one that says nothing holds up its place for the time that it is given. */
const nodesAtOnce = 20;

async function verdictsOf(node: string, suspects: readonly Suspect[]): Promise<readonly SweepVerdict[]> {
  try {
    return await checkNode(node, suspects);
  } catch (error) {
    if (wf.isCancellation(error)) throw error;
    const reason = `the node was not asked: ${fromTemporal(error).message}`;
    return suspects.map(({ subject, pod }) => ({
      subject,
      node,
      pod: `${pod.namespace}/${pod.name}`,
      outcome: 'unanswered',
      reason,
    }));
  }
}
