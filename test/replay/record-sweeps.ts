import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Client } from '@temporalio/client';
import { NativeConnection, Worker } from '@temporalio/worker';
import { ProvisionError } from '../../contracts/failures.ts';
import type { Suspect, SweepActivities } from '../../contracts/sweep.ts';
import { toApplicationFailure } from '../../temporal-config/failure-conversion.ts';
import { controlNamespace, controlQueue } from '../../temporal-config/queues.ts';
import { sweepAction } from '../../workers/control/temporal/sweep-schedule.ts';
import { toHistoryJson } from '../testing/history-json.ts';
import { beginRecording } from './recording.ts';

/**
 * Records what sweeps of this version write, on a real server, with activities that say what the scenario wants:
 *
 *     node test/replay/record-sweeps.ts v0.1 && make fix
 */
const suspect = (subject: string, node: string): Suspect => ({
  kind: 'claim',
  subject,
  uid: `uid-of-${subject}`,
  version: '17',
  node,
  pod: { namespace: 'pay', name: 'ghost', uid: 'uid-9' },
  containerID: '5b1d',
  pool: 'rack7-v4',
  reason: 'Bound, and its pod does not exist',
});

const scenarios: Readonly<Record<string, readonly Suspect[]>> = {
  'sweep-that-finds-nothing': [],
  'sweep-of-three-nodes': [
    suspect('10.70.8.20', 'r7-n1'),
    suspect('10.70.8.21', 'r7-n1'),
    suspect('10.70.8.22', 'r7-n2'),
    suspect('10.70.8.23', 'fails'),
  ],
};

const activitiesFor = (suspects: readonly Suspect[]): SweepActivities => ({
  findSuspects: async () => ({ seen: { claims: 4, openRuns: 0, pods: 0 }, suspects, left: [], postponed: 0 }),
  checkNode: async (node, asked) => {
    if (node === 'fails') {
      const message = 'Cannot read IPClaim "10.70.8.23": none within 3000 ms';
      throw toApplicationFailure(new ProvisionError({ type: 'ApiServerUnavailable', message }));
    }
    return asked.map(({ subject }) => ({
      subject,
      node,
      pod: 'pay/ghost',
      outcome: 'released',
      reason: 'no process is in its namespace',
    }));
  },
});

const [version] = process.argv.slice(2);
const { directory, bundle, stack } = await beginRecording(
  version,
  'Usage: node test/replay/record-sweeps.ts VERSION, for example v0.1',
);
try {
  const connection = await NativeConnection.connect({ address: stack.temporalAddress });
  const client = new Client({ connection, namespace: controlNamespace });
  const { workflowType, ...start } = sweepAction;
  for (const [name, suspects] of Object.entries(scenarios)) {
    const worker = await Worker.create({
      connection,
      namespace: controlNamespace,
      taskQueue: controlQueue,
      workflowBundle: { codePath: bundle.codePath },
      activities: activitiesFor(suspects),
    });
    await worker.runUntil(client.workflow.execute(workflowType, { ...start, workflowId: name }));
    const history = await client.workflow.getHandle(name).fetchHistory();
    await writeFile(join(directory, `${name}.json`), toHistoryJson(history));
    console.log(`recorded ${name}`);
  }
  await connection.close();
} finally {
  await bundle.remove();
  await stack.stop();
}
