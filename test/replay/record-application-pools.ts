import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Client } from '@temporalio/client';
import { NativeConnection, Worker } from '@temporalio/worker';
import {
  type ApplicationPoolActivities,
  type ApplicationPoolReport,
  applicationPoolChanged,
  applicationPoolWorkflow,
} from '../../contracts/application-pool.ts';
import { eventually } from '../../deploy/dev/eventually.ts';
import { controlNamespace, controlQueue } from '../../temporal-config/queues.ts';
import { toHistoryJson } from '../testing/history-json.ts';
import { beginRecording } from './recording.ts';

/**
 * Records what runs of automatic pools of this version write, on a real server, with looks that find what the scenario wants:
 *
 *     node test/replay/record-application-pools.ts v0.1 && make fix
 */
const subject = { apiVersion: 'apps/v1', kind: 'Deployment', namespace: 'pay', name: 'api', ifName: 'eth0', family: 4 };
const serving = { name: 'auto4-api-eth0-3f2a1', subnet: 'rack7', size: 3, role: 'serves' } as const;
const found = (
  state: ApplicationPoolReport['state'],
  some: Partial<ApplicationPoolReport> = {},
): ApplicationPoolReport => ({
  state,
  why: '',
  wanted: 3,
  pools: [],
  done: [],
  ...some,
});

/** What each look finds; "fails": it fails as often as it is tried. */
const scenarios: Readonly<Record<string, readonly (ApplicationPoolReport | 'fails')[]>> = {
  'application-pool-of-a-life': [
    found('WaitingForSubnet', { why: 'SpiderSubnet "rack7" does not exist' }),
    found('Ready', { pools: [serving], done: ['made pool'] }),
    found('Shrinking', { pools: [serving] }),
    found('Replacing', { pools: [serving, { ...serving, name: 'old', role: 'is to go' }] }),
    found('Removing', { pools: [{ ...serving, role: 'is to go' }] }),
    found('Gone'),
  ],
  'application-pool-that-cannot-be-seen-to': ['fails', found('Kept', { pools: [{ ...serving, role: 'is kept' }] })],
};

const activitiesFor = (looks: readonly (ApplicationPoolReport | 'fails')[]): ApplicationPoolActivities => {
  let tries = 0;
  let look = 0;
  return {
    seeToPool: async () => {
      const report = looks[look] ?? found('Gone');
      tries += 1;
      if (report !== 'fails' || tries >= 4) look += 1; // it is tried four times
      if (report === 'fails') throw new Error('the API server is away');
      return report;
    },
  };
};

const [version] = process.argv.slice(2);
const usage = 'Usage: node test/replay/record-application-pools.ts VERSION, for example v0.1';
const { directory, bundle, stack } = await beginRecording(version, usage);
try {
  const connection = await NativeConnection.connect({ address: stack.temporalAddress });
  const client = new Client({ connection, namespace: controlNamespace });
  for (const [name, looks] of Object.entries(scenarios)) {
    const worker = await Worker.create({
      connection,
      namespace: controlNamespace,
      taskQueue: controlQueue,
      workflowBundle: { codePath: bundle.codePath },
      activities: activitiesFor(looks),
    });
    await worker.runUntil(async () => {
      const handle = await client.workflow.start(applicationPoolWorkflow, {
        workflowId: name,
        taskQueue: controlQueue,
        args: [subject, {}],
      });
      await eventually('It ended', 60, async () => {
        const { status } = await handle.describe();
        if (status.name !== 'RUNNING') return { value: true };
        await handle.signal(applicationPoolChanged, {}).catch(() => undefined); // it may end in between
        return { state: status.name };
      });
    });
    const history = await client.workflow.getHandle(name).fetchHistory();
    await writeFile(join(directory, `${name}.json`), toHistoryJson(history));
    console.log(`recorded ${name}`);
  }
  await connection.close();
} finally {
  await bundle.remove();
  await stack.stop();
}
