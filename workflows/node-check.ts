import * as wf from '@temporalio/workflow';
import type { NodeCheckActivities, NodeCheckRequest, NodeCheckVerdict } from '../contracts/node-check.ts';
import { checkOptions } from '../temporal-config/timeouts.ts';

const { checkSuspects } = wf.proxyActivities<NodeCheckActivities>(checkOptions);

/** Asks a node what the claims and runs are that look abandoned from outside; it takes away what it proves gone. Workflow ID: `check/<node>`. */
export async function nodeCheck(request: NodeCheckRequest): Promise<readonly NodeCheckVerdict[]> {
  wf.setCurrentDetails(`${request.reason}: ${request.claims.length} claims, ${request.runs.length} runs`);
  const verdicts = await checkSuspects(request);
  wf.setCurrentDetails(toMarkdown(request, verdicts));
  return verdicts;
}

const toMarkdown = ({ reason }: NodeCheckRequest, verdicts: readonly NodeCheckVerdict[]): string =>
  [reason, '', ...verdicts.map((verdict) => `- \`${verdict.subject}\` ${verdict.outcome}: ${verdict.reason}`)].join(
    '\n',
  );
