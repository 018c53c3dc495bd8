import { defineSearchAttributeKey } from '@temporalio/common';
import * as wf from '@temporalio/workflow';
import {
  type ApplicationPoolActivities,
  type ApplicationPoolReport,
  type ApplicationPoolState,
  type ApplicationPoolSubject,
  applicationPoolChanged,
  type PodAnnotations,
} from '../contracts/application-pool.ts';
import { fromTemporal } from '../temporal-config/failure-conversion.ts';
import { applicationPoolTimeouts } from '../temporal-config/timeouts.ts';
import { toMarkdown } from './application-pool-details.ts';

const { seeToPool } = wf.proxyLocalActivities<ApplicationPoolActivities>(applicationPoolTimeouts.look);

export const changedSignal = wf.defineSignal<[PodAnnotations]>(applicationPoolChanged);

const netPhase = defineSearchAttributeKey('NetPhase', 'KEYWORD');
const poolName = defineSearchAttributeKey('PoolName', 'KEYWORD_LIST');

/**
 * Sees to the pool of one application, NIC and family. Looks when it is told that something changed, and by itself as long as it
 * waits for something; ends when there is nothing left to see to. Workflow ID: `pool/<namespace>/<kind>/<name>/<ifName>/<family>`.
 */
export async function applicationPool(subject: ApplicationPoolSubject, first: PodAnnotations): Promise<void> {
  let podAnnotations = first;
  let hints = 1; // that there is somebody to see to
  wf.setHandler(changedSignal, (annotations) => {
    hints += 1;
    if (Object.keys(annotations).length > 0) podAnnotations = annotations;
  });
  await Promise.resolve(); // a signal that came with the start is delivered now: the first look is for it, too

  let state: ApplicationPoolState | undefined;
  let looksInState = 0;
  let published = '';
  for (let looks = 1; ; looks += 1) {
    const seen = hints;
    const report = await look(subject, podAnnotations);
    looksInState = report.state === state ? looksInState + 1 : 1;
    if (report.state !== state) wf.log.info('automatic pool', { ...subject, state: report.state, why: report.why });
    state = report.state;
    wf.setCurrentDetails(toMarkdown(report));
    published = publish(report, published);
    if (hints === seen) {
      const pauseMs = pauseOf(state, looksInState);
      if (pauseMs === undefined) return;
      await wf.condition(() => hints !== seen, pauseMs);
    }
    if (looks >= mostLooks) await wf.continueAsNew<typeof applicationPool>(subject, podAnnotations);
  }
}

/** A look that fails is a state like any other: what is in the way is shown, and looked at again. */
async function look(subject: ApplicationPoolSubject, podAnnotations: PodAnnotations): Promise<ApplicationPoolReport> {
  try {
    return await seeToPool(subject, podAnnotations);
  } catch (error) {
    if (wf.isCancellation(error)) throw error;
    const { message, remedy } = fromTemporal(error);
    const why = remedy === undefined ? message : `${message}. ${remedy}`;
    return { state: 'Refused', why, pools: [], done: [] };
  }
}

/** Search attributes, when they are others than before: each write of them is a task of the server. */
function publish({ state, pools }: ApplicationPoolReport, before: string): string {
  const names = pools.flatMap(({ name, role }) => (role === 'serves' ? [name] : []));
  const now = [state, ...names].join(' ');
  if (now !== before) {
    wf.upsertSearchAttributes([
      { key: netPhase, value: state },
      { key: poolName, value: names },
    ]);
  }
  return now;
}

/** Each look is a handful of events. */
const mostLooks = 500;

/** Until the next look when nobody says anything; undefined: there is nothing left to see to. */
function pauseOf(state: ApplicationPoolState, looks: number): number | undefined {
  if (state === 'Kept' || state === 'Gone') return undefined;
  const { firstMs, mostMs } = applicationPoolTimeouts.again[state];
  return Math.min(firstMs * 2 ** (looks - 1), mostMs);
}
